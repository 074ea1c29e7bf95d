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

/** Each trap was read in Fluent Bit 5.1's source, or met on the real engine. */
describe("The agent's configuration", () => {
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

  it("sends to Citadel's ingest, with TLS that is checked", () => {
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

  it("holds no key: it comes from the environment", () => {
    assert.equal(http["header"], "Authorization Bearer ${CITADEL_API_KEY}");
  });

  it("writes one array of events a request, and no date of its own", () => {
    assert.deepEqual([http["format"], http["json_date_key"]], ["json", "false"]);
  });

  it("says the tenant by the chunk's tag, of which each has one", () => {
    assert.equal(http["header_tag"], "X-Tenant-ID");
    // With these there is one request an event, and only the last one's answer counts.
    assert.equal(http["body_key"] ?? http["headers_key"], undefined);
  });

  it("sends nothing whose tag is no tenant, whatever else goes wrong", () => {
    const pattern = new RegExp(String(http["match_regex"]));
    assert.match(TENANT, pattern);
    for (const tag of ["kube.var.log.containers.a_b_c.log", `${TENANT}x`, TENANT.toUpperCase()]) {
      assert.doesNotMatch(tag, pattern);
    }
    assert.equal(http["match"], undefined);
  });

  it("retries for ever: the default is once", () => {
    for (const output of [http, forward]) assert.equal(output["retry_limit"], "no_limits");
  });

  it("waits at most a minute between two retries: the default is half an hour", () => {
    assert.deepEqual([service["scheduler.base"], service["scheduler.cap"]], [2, 60]);
  });

  it("keeps what is refused for good, up to a limit: by default it is gone", () => {
    assert.equal(service["storage.keep.rejected"], "on");
    assert.equal(service["storage.rejected.limit"], "256M");
  });

  it("never changes where that lies: as a backlog its chunks, without tags, would be deleted", () => {
    assert.equal(service["storage.rejected.path"], "rejected");
  });

  it("bounds the disk, in sum by what was given", () => {
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

  it("writes what it read to disk before it goes on", () => {
    for (const input of [tail, held]) assert.equal(input["storage.type"], "filesystem");
    assert.ok(service["storage.path"]);
    // A thread of its own hands lines over in memory.
    assert.equal(tail["threaded"], undefined);
  });

  it("changes tags in the input's processors: a filter would keep lines in memory", () => {
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
      assert.match(rule, / false$/); // the original goes
    }
  });

  it("names its two emitters apart: of one name the engine does not start", () => {
    const names = [tail, held].map((input) => processor(input, "rewrite_tag")["emitter_name"]);
    assert.equal(new Set(names).size, 2);
  });

  it("sends what has no tenant yet round, and not away", () => {
    assert.deepEqual([forward["name"], forward["match"]], ["forward", "kube.*"]);
    assert.equal(forward["unix_path"], held["unix_path"]);
    // Without it a kill between sending and storing would lose them.
    assert.equal(forward["require_ack_response"], "on");
    // Without it the agent waits for its own answer when it is to stop.
    assert.equal(forward["net.io_timeout"], "5s");
  });

  it("joins no lines across two readings: those that wait in memory are lost by a kill", () => {
    for (const input of [tail, held]) assert.equal(processor(input, "multiline")["buffer"], "off");
    // After the first line of a trace it would read at once, and cut it there.
    assert.equal(tail["inotify_watcher"], "off");
  });

  it("groups lines by nothing but the stream: the engine crashes at the seventh group", () => {
    assert.equal(multiline_parsers[0]?.["key_group"], "stream");
  });

  it("reads a file from its begin, soon, and past a line that is too long", () => {
    assert.equal(tail["read_from_head"], "on");
    assert.equal(tail["refresh_interval"], 5); // default: 60 s
    assert.equal(tail["rotate_wait"], 30); // default: 5 s
    assert.equal(tail["skip_long_lines"], "on"); // by default the file is given up
    assert.equal(tail["multiline.parser"], "cri");
  });

  it("remembers where it was by inode and what stood there, not by name", () => {
    assert.equal(tail["db.locking"], "on");
    // It compares the link's name with that of the file behind it, which differ for every container:
    // then every start reads every file from its begin.
    assert.equal(tail["db.compare_filename"], undefined);
  });

  it("does not read its own lines, which would come back for ever", () => {
    assert.equal(tail["exclude_path"], "/var/log/containers/citadel-agent-*_observability_*.log");
  });

  it("asks for labels so that a failure is not remembered, and a large pod is read", () => {
    for (const input of [tail, held]) {
      const kubernetes = processor(input, "kubernetes");
      assert.equal(kubernetes["buffer_size"], 0); // default: 32K, and a larger answer fails unseen
      assert.equal(kubernetes["kube_meta_cache_ttl"], 0); // else an outage forgets what was known
      assert.equal(kubernetes["cache_use_docker_id"], "on"); // a StatefulSet's pod keeps its name
      assert.equal(kubernetes["namespace_labels"], "on");
      assert.equal(kubernetes["use_kubelet"], undefined); // remembers a pod that it did not find
      assert.equal(kubernetes["kube_tag_prefix"], "kube.var.log.containers.");
    }
  });

  it("lets no pod turn its logs off, or choose their parser", () => {
    for (const input of [tail, held]) {
      const kubernetes = processor(input, "kubernetes");
      assert.equal(kubernetes["k8s-logging.exclude"], "off");
      assert.equal(kubernetes["k8s-logging.parser"], "off");
    }
  });

  it("limits each container before anything else, once, and exactly in time", () => {
    const [first] = tail.processors.logs;
    assert.equal(first?.["call"], "limit");
    assert.equal(first["time_as_table"], "on");
    // What was held has passed the limit already, and has the file's tag still.
    assert.ok(!held.processors.logs.some(({ call }) => call === "limit"));
  });

  it("tells Lua the limits and the shares that were set, and where the chunks lie", () => {
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

  it("leaves JSON to Lua: the engine makes doubles of numbers, and drops nulls", () => {
    assert.equal(processor(tail, "kubernetes")["merge_log"], "off");
    assert.equal(processor(tail, "lua")["enable_flb_null"], "on");
    assert.equal(processor(tail, "lua")["time_as_table"], "on"); // a double has no nanoseconds
  });

  it("writes characters as they are: escaped, a chunk of 2 MB could pass Citadel's 4 MiB", () => {
    assert.equal(service["json.escape_unicode"], "off");
    // Citadel does not say that it unpacks.
    assert.equal(http["compress"], undefined);
  });

  it("stops before the kubelet kills it", () => {
    assert.equal(service["grace"], 25);
  });
});
