import assert from "node:assert/strict";
import { parse } from "yaml";
import {
  agentConfiguration,
  type AgentConfigurationArgs,
} from "../../../components/citadel-agent/configuration.ts";

type Section = Record<string, unknown>;
interface Parsed {
  readonly service: Section;
  readonly multiline_parsers: readonly Section[];
  readonly pipeline: { readonly inputs: readonly Input[]; readonly outputs: readonly Section[] };
}
interface Input extends Section {
  readonly processors: { readonly logs: readonly Section[] };
}

const TENANT = "2222aaaa-2222-4222-8222-222222222222";

/** Each case comes from Fluent Bit 5.1's source or from a failure of the real engine. */
describe("agentConfiguration", () => {
  const filesOf = (args: Partial<AgentConfigurationArgs> = {}) =>
    agentConfiguration({
      citadelUrl: "https://citadel.example.test",
      platform: "staging",
      namespace: "observability",
      ...args,
    });
  const parsedOf = (args?: Partial<AgentConfigurationArgs>) =>
    parse(filesOf(args)["fluent-bit.yaml"] ?? "") as Parsed;
  const { service, multiline_parsers, pipeline } = parsedOf();
  const [tail, held] = pipeline.inputs as [Input, Input];
  const [http, forward] = pipeline.outputs as [Section, Section];
  const processor = (input: Input, name: string) =>
    input.processors.logs.find((each) => each["name"] === name) ?? {};

  it("sends to Citadel's ingest endpoint and verifies TLS", () => {
    assert.deepEqual(
      [http["host"], http["port"], http["tls"], http["tls.verify"], http["uri"]],
      ["citadel.example.test", 443, "on", "on", "/api/v1/ingest"],
    );
    const plain = parsedOf({ citadelUrl: "http://127.0.0.1:8080/citadel/" }).pipeline.outputs[0];
    assert.deepEqual(
      [plain?.["host"], plain?.["port"], plain?.["tls"], plain?.["uri"]],
      ["127.0.0.1", 8080, "off", "/citadel/api/v1/ingest"],
    );
  });

  it("contains no key; it comes from the environment", () => {
    assert.equal(http["header"], "Authorization Bearer ${CITADEL_API_KEY}");
  });

  it("sends one array of events per request, without Fluent Bit's date", () => {
    assert.deepEqual([http["format"], http["json_date_key"]], ["json", "false"]);
  });

  it("sends the tag of each chunk as the tenant", () => {
    assert.equal(http["header_tag"], "X-Tenant-ID");
    // These options would send one request per event, and use only the last one's answer.
    assert.equal(http["body_key"] ?? http["headers_key"], undefined);
  });

  it("sends nothing whose tag is not a tenant", () => {
    const pattern = new RegExp(String(http["match_regex"]));
    assert.match(TENANT, pattern);
    for (const tag of ["kube.var.log.containers.a_b_c.log", `${TENANT}x`, TENANT.toUpperCase()]) {
      assert.doesNotMatch(tag, pattern);
    }
    assert.equal(http["match"], undefined);
  });

  it("retries without a limit; the default is one retry", () => {
    for (const output of [http, forward]) assert.equal(output["retry_limit"], "no_limits");
  });

  it("waits at most a minute between retries; the default is half an hour", () => {
    assert.deepEqual([service["scheduler.base"], service["scheduler.cap"]], [2, 60]);
  });

  it("keeps rejected chunks up to a limit; by default they are deleted", () => {
    assert.equal(service["storage.keep.rejected"], "on");
    assert.equal(service["storage.rejected.limit"], "256M");
  });

  it("keeps the folder of rejected chunks; another would make them a backlog, which is deleted", () => {
    assert.equal(service["storage.rejected.path"], "rejected");
  });

  it("limits the disk space to the setting, in total", () => {
    const sizes = (mebibytes: number) => {
      const { service: s, pipeline: p } = parsedOf({ bufferMiB: mebibytes });
      return [
        s["storage.rejected.limit"],
        ...p.outputs.map((output) => output["storage.total_limit_size"]),
      ].map((size) => Number.parseInt(String(size), 10));
    };
    for (const mebibytes of [64, 1000, 4096]) {
      assert.equal(
        sizes(mebibytes).reduce((sum, size) => sum + size),
        mebibytes,
      );
    }
  });

  it("writes lines to disk before it moves the file position", () => {
    for (const input of [tail, held]) assert.equal(input["storage.type"], "filesystem");
    assert.ok(service["storage.path"]);
    // A separate thread would pass lines in memory.
    assert.equal(tail["threaded"], undefined);
  });

  it("changes tags in the input's processors; a filter would keep lines in memory", () => {
    assert.equal("filters" in pipeline, false);
    for (const [input, names] of [
      [tail, ["lua", "multiline", "kubernetes", "lua", "rewrite_tag"]],
      [held, ["multiline", "kubernetes", "lua", "rewrite_tag"]],
    ] as const) {
      assert.deepEqual(
        input.processors.logs.map(({ name }) => name),
        names,
      );
      const rule = String(processor(input, "rewrite_tag")["rule"]);
      assert.match(rule, / false$/); // drops the original
    }
  });

  it("gives its two emitters different names; otherwise the engine does not start", () => {
    const names = [tail, held].map((input) => processor(input, "rewrite_tag")["emitter_name"]);
    assert.equal(new Set(names).size, 2);
  });

  it("sends lines without a tenant only to itself", () => {
    assert.deepEqual([forward["name"], forward["match"]], ["forward", "kube.*"]);
    assert.equal(forward["unix_path"], held["unix_path"]);
    // Without it, a kill between sending and storing would lose them.
    assert.equal(forward["require_ack_response"], "on");
    // Without it, a stopping agent waits for its own answer.
    assert.equal(forward["net.io_timeout"], "5s");
  });

  it("does not join lines of two reads; a kill would lose lines that wait in memory", () => {
    for (const input of [tail, held]) assert.equal(processor(input, "multiline")["buffer"], "off");
    // inotify would read after the first line of a trace, and cut the trace there.
    assert.equal(tail["inotify_watcher"], "off");
  });

  it("groups lines only by stream; the engine crashes at the seventh group", () => {
    assert.equal(multiline_parsers[0]?.["key_group"], "stream");
  });

  it("reads a new file soon, from its start, and skips lines that are too long", () => {
    assert.equal(tail["read_from_head"], "on");
    assert.equal(tail["refresh_interval"], 1); // default: 60 s, longer than some pods live
    assert.equal(tail["rotate_wait"], 30); // default: 5 s
    assert.equal(tail["skip_long_lines"], "on"); // by default it stops reading the file
    assert.equal(tail["multiline.parser"], "cri");
  });

  it("identifies a file by its inode, not by its name", () => {
    assert.equal(tail["db.locking"], "on");
    // The option compares the link's name with that of its target. They always differ, so every start
    // would read every file from its start.
    assert.equal(tail["db.compare_filename"], undefined);
  });

  it("does not read its own log, which would cause a loop", () => {
    assert.equal(tail["exclude_path"], "/var/log/containers/citadel-agent-*_observability_*.log");
  });

  it("opens its port within seconds if there is no cluster DNS", () => {
    const seconds = [tail, held]
      .map((input) => processor(input, "kubernetes"))
      .map((kubernetes) => Number(kubernetes["dns_retries"]) * Number(kubernetes["dns_wait_time"]))
      .reduce((sum, each) => sum + each);
    assert.ok(seconds > 0 && seconds <= 5, `${seconds} s`); // default: 6 times 30 s each
  });

  it("does not cache failed requests for labels, and reads large pods", () => {
    for (const input of [tail, held]) {
      const kubernetes = processor(input, "kubernetes");
      assert.equal(kubernetes["buffer_size"], 0); // default: 32K; a larger answer fails silently
      assert.equal(kubernetes["kube_meta_cache_ttl"], 0); // otherwise an outage removes known labels
      assert.equal(kubernetes["kube_meta_namespace_cache_ttl"], 15); // its key is only the name
      assert.equal(kubernetes["cache_use_docker_id"], "on"); // because a StatefulSet's pod keeps its name
      assert.equal(kubernetes["namespace_labels"], "on");
      assert.equal(kubernetes["use_kubelet"], undefined); // would cache that a pod was not found
      assert.equal(kubernetes["kube_tag_prefix"], "kube.var.log.containers.");
    }
  });

  it("does not let pods disable their logs or choose a parser", () => {
    for (const input of [tail, held]) {
      const kubernetes = processor(input, "kubernetes");
      assert.equal(kubernetes["k8s-logging.exclude"], "off");
      assert.equal(kubernetes["k8s-logging.parser"], "off");
    }
  });

  it("limits each container first, and once", () => {
    const [first] = tail.processors.logs;
    assert.equal(first?.["call"], "limit");
    assert.equal(first["time_as_table"], "off"); // limit.lua calculates with seconds
    // Held lines have already passed the limit, but still have the file's tag.
    assert.ok(!held.processors.logs.some(({ call }) => call === "limit"));
  });

  it("passes limits, shares and the chunks' folder to Lua", () => {
    const luaOf = (args?: Partial<AgentConfigurationArgs>) =>
      /^SETTINGS = .*$/m.exec(filesOf(args)["citadel.lua"] ?? "")?.[0] ?? "";
    assert.equal(
      luaOf(),
      'SETTINGS = { platform = "staging", hold = 300, prefix = "kube.var.log.containers.", ' +
        'lines = 2000, bytes = 1048576, chunks = "/var/lib/citadel-agent/chunks", ' +
        "share = 67108864, unsent = 671088640 }",
    );
    const own = luaOf({ containerLinesPerSecond: 7, containerKiBPerSecond: 2, tenantMiB: 9 });
    assert.match(own, / lines = 7, bytes = 2048, .* share = 9437184, /);
    assert.match(luaOf({ bufferMiB: 64 }), / share = 16777216, /);
    assert.equal(`${service["storage.path"] as string}`, "/var/lib/citadel-agent/chunks");
  });

  it("leaves JSON to Lua; the engine turns numbers into doubles and drops nulls", () => {
    assert.equal(processor(tail, "kubernetes")["merge_log"], "off");
    for (const input of [tail, held]) {
      const shape = input.processors.logs.find(({ call }) => call === "shape");
      assert.equal(shape?.["enable_flb_null"], "on");
      assert.equal(shape["time_as_table"], "on"); // a double cannot hold nanoseconds
    }
  });

  it("does not escape characters; a chunk of 2 MB could exceed Citadel's 4 MiB", () => {
    assert.equal(service["json.escape_unicode"], "off");
    // Citadel does not document that it decompresses.
    assert.equal(http["compress"], undefined);
  });

  it("stops before the kubelet kills it", () => {
    assert.equal(service["grace"], 25);
  });
});
