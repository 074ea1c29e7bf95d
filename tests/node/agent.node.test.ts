import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { PROBER_IMAGE, WRITER_IMAGE } from "../../sandbox/node/pod-images.ts";
import { until } from "../../sandbox/process.ts";
import { AgentOnNode, type PodOptions } from "../support/agent-on-node.ts";
import { skipWithoutAgent } from "../support/node.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { itAnswersThePlan } from "./plan-queries.ts";

const PROJECTS = ["log-one", "log-two", "my-project"] as const;
/** Lines a second of each writer. */
const RATE = 400;
const KILLS = 2;
/** In ms. The agent sends every 5 s, and retries after up to 60 s. */
const ARRIVAL = 120_000;

/** The agent's count of lines whose environment it did not know. */
const HELD_LINES = /^fluentbit_input_records_total\{name="held"\} (\d+)/m;

/** The lines of one start of a writer. */
const runSchema = z.object({ run: z.string(), lines: z.number() });

interface Writer {
  readonly tenant: string;
  readonly namespace: string;
  readonly name: string;
  readonly address: string;
}

describe("the log agent on a real node", function () {
  this.timeout(300_000);
  let stage: AgentOnNode;

  before(async function () {
    await skipWithoutAgent(this);
    stage = await AgentOnNode.start(PROJECTS);
  });
  after(() => stage?.stop());

  const started: Writer[] = [];
  afterEach(async () => {
    const pods = started.splice(0);
    await Promise.all(pods.map(({ namespace, name }) => stage.deletePod(namespace, name)));
  });

  async function startWriter(
    namespace: string,
    args: readonly string[],
    options: Partial<PodOptions> = {},
  ): Promise<Writer> {
    const tenant = await stage.tenantOf(namespace);
    const name = uniqueSlug();
    const pod = { namespace, name, image: WRITER_IMAGE, args, tenant, ...options };
    const writer = { tenant, namespace, name, address: await stage.createPod(pod) };
    started.push(writer);
    return writer;
  }

  /** Starts a pod in each project that writes until it is stopped. */
  const startWriters = (...args: string[]) =>
    Promise.all(PROJECTS.map((slug) => startWriter(slug, ["-per-second", String(RATE), ...args])));

  /** Stops the writers, and waits until every line that they wrote has arrived. */
  async function everyLineArrives(writers: readonly Writer[]): Promise<void> {
    for (const { tenant, address } of writers) {
      const { run, lines } = runSchema.parse(JSON.parse(await stage.ask(address, "/stop")));
      assert.ok(lines > 0, "lines were written");
      await linesArrive(
        tenant,
        Array.from({ length: lines }, (_, number) => `${run} ${number}`),
      );
      onlyIn(tenant, run);
    }
  }

  /** Waits until Citadel has accepted all of these lines for the environment. */
  async function linesArrive(tenant: string, lines: readonly string[]): Promise<void> {
    const check = () => {
      const accepted = stage.proxy.accepted.get(tenant) ?? new Set();
      const missing = lines.filter((line) => !accepted.has(line));
      assert.equal(missing.length, 0, `missing: ${missing.length}, such as ${missing[0]}`);
    };
    await until(check, undefined, ARRIVAL);
  }

  function onlyIn(tenant: string, run: string): void {
    for (const [other, messages] of stage.proxy.accepted) {
      if (other === tenant) continue;
      assert.ok(![...messages].some((message) => message.startsWith(run)), `${run} is in ${other}`);
    }
  }

  /** The messages that arrived of a pod, by the start of its container. */
  function arrivedRuns({ tenant, name }: Writer): Map<string, Set<string>> {
    const runs = new Map<string, Set<string>>();
    for (const message of stage.proxy.accepted.get(tenant) ?? []) {
      const [run = ""] = message.split(" ");
      if (run.startsWith(`${name}/`)) runs.set(run, (runs.get(run) ?? new Set()).add(message));
    }
    return runs;
  }

  /** The names of the files with a container's lines. */
  async function logFiles({ namespace, name }: Writer): Promise<string[]> {
    const folder = join(stage.sandbox.folder, "node/log/pods");
    const pods = await readdir(folder);
    const pod = pods.find((each) => each.startsWith(`${namespace}_${name}_`));
    return readdir(join(folder, pod ?? assert.fail("the pod has no folder"), "main"));
  }

  it("sends each line to the environment of its project, or of the platform", async () => {
    const writers = await startWriters();
    const unlabelled = await stage.createPod({
      namespace: "rdev",
      name: "unlabelled",
      image: WRITER_IMAGE,
      args: ["-per-second", String(RATE)],
    });
    const tenant = await stage.platformTenant();
    const other = { tenant, namespace: "rdev", name: "unlabelled", address: unlabelled };
    started.push(other);
    await stage.furtherLines();
    await everyLineArrives([...writers, other]);
  });

  it("loses no line when it is killed, or its pod is deleted without grace", async () => {
    const writers = await startWriters();
    for (let round = 0; round < KILLS; round += 1) {
      await stage.furtherLines();
      (await stage.agent()).kill();
      await stage.furtherLines();
      await (await stage.agent()).replace();
    }
    await everyLineArrives(writers);
  });

  it("loses no line when the kubelet rotates the files", async () => {
    // 1.2 MB a second, so that each check of the kubelet, after 10 s, finds a file above 10 MiB.
    const writer = await startWriter("log-one", ["-per-second", "1200", "-bytes", "1000"]);
    await until(async () => assert.ok((await logFiles(writer)).length >= 3, "two rotated files"));
    await everyLineArrives([writer]);
  });

  it("loses no line when it is killed while the API server is away", async () => {
    const writers = await startWriters();
    await stage.furtherLines();
    const agent = await stage.agent();
    await stage.withoutApiServer(() => agent.kill());
    await everyLineArrives(writers);
    await (await stage.agent()).replace();
  });

  it("keeps the lines of an unknown container until the API server is back", async () => {
    const tenant = await stage.tenantOf("log-two");
    const name = uniqueSlug();
    const pod = { namespace: "log-two", name, image: PROBER_IMAGE, tenant };
    const address = await stage.createPod(pod);
    started.push({ ...pod, address });
    await until(() => stage.ask(address, "/"));
    // The next agent has asked for no labels of this namespace.
    await (await stage.agent()).replace();
    const agent = await stage.agent();
    await stage.withoutApiServer(async () => {
      await stage.ask(address, `/log?line=${name}`);
      await until(async () => {
        const [, held] = HELD_LINES.exec(await agent.metrics()) ?? [];
        assert.ok(Number(held) > 0, "its line waits");
      });
    });
    await linesArrive(tenant, [name]);
    onlyIn(tenant, name);
  });

  it("sends the lines of a project that was created again to its new environment", async () => {
    await everyLineArrives([await startWriter("log-two", ["-per-second", String(RATE)])]);
    started.splice(0); // the namespace takes the pod along
    await stage.run("destroy", "staging.log-two", "--yes", "--remove");
    await stage.run("up", "staging.log-two", "--yes");
    const writer = await startWriter("log-two", ["-per-second", String(RATE)]);
    await everyLineArrives([writer]);
  });

  it("loses no line when it is killed together with containerd and the kubelet", async () => {
    const writers = await startWriters();
    await stage.furtherLines();
    const { kubelet, containerd } = stage.node.servers;
    const agent = await stage.agent();
    await Promise.all([kubelet.kill(), containerd.kill()]);
    agent.kill();
    await containerd.start();
    await kubelet.start();
    await stage.furtherLines();
    await everyLineArrives(writers);
    await (await stage.agent()).replace();
  });

  it("sends the last lines of a container that the kernel kills for its memory", async () => {
    const writer = await startWriter("log-one", ["-per-second", "10"], { memory: "64Mi" });
    const { namespace, name } = writer;
    await stage.ask(writer.address, "/eat");
    await until(async () => {
      const { status } = await stage.pod(namespace, name);
      assert.equal(status?.containerStatuses?.[0]?.state?.terminated?.reason, "OOMKilled");
    });
    const log = await stage.core.readNamespacedPodLog({ namespace, name });
    const lineSchema = z.object({ msg: z.string() });
    const written = log
      .trim()
      .split("\n")
      .map((line) => lineSchema.parse(JSON.parse(line)).msg);
    assert.ok(written.length > 40, `a line for each MiB (${written.length})`);
    await linesArrive(writer.tenant, written);
  });

  it("sends the lines of each start of a container that crashes again and again", async () => {
    const writer = await startWriter("log-two", ["-lines", "300"], { restarts: true });
    await until(() => {
      const complete = [...arrivedRuns(writer).values()].filter(({ size }) => size === 300);
      assert.ok(complete.length >= 3, `${complete.length} starts arrived`);
    });
    for (const run of arrivedRuns(writer).keys()) onlyIn(writer.tenant, run);
  });

  itAnswersThePlan(() => stage, PROJECTS[2]);
});
