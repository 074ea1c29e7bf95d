import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { startFaultyProxy, type Fault } from "../support/faulty-proxy.ts";
import { writeKubeconfig } from "../support/kubeconfig.ts";
import { proveAlone } from "../support/proofs.ts";
import { seeded } from "../support/random.ts";
import { projects, unchanged, type Project } from "../support/stage.ts";
import { variable, withVariables } from "../support/variables.ts";

const SEED = Number(process.env["FAULT_SEED"] ?? Math.floor(Math.random() * 1e9));
const HTTP = ["GITEA_URL", "WOODPECKER_URL", "POWERDNS_URL", "REGISTRY_URL", "CITADEL_URL"];
const FAULTS: readonly Fault[] = [{ status: 500 }, { status: 429 }, "reset", "lost"];
/**
 * Each failed run should meet a new kind of request, so the runs end, however many kinds there are. The
 * official plugins send more kinds than the stand-ins. The cutting proxies let more bytes pass in each
 * run, so a few runs may meet nothing new.
 */
const MAX_ROUNDS_WITHOUT_PROGRESS = 8;

describe(`systems that all fail at each step (FAULT_SEED=${SEED})`, function () {
  this.timeout(2_700_000);
  const project = projects();
  const closing: (() => Promise<void>)[] = [];
  let running: Promise<unknown> = Promise.resolve();
  let ended = false;
  afterEach(async () => {
    // A test that timed out goes on with the proxies' variables, which other tests must not get.
    ended = true;
    await running.catch(() => undefined);
    await Promise.all(closing.splice(0).map((close) => close()));
  });

  it("are named by every run, and repeated runs of up and of destroy converge", async () => {
    const one = await project();
    const faults = await faultsFor(one);
    const ups = await faults.untilDone(() => one.up());
    await proveAlone(one.stage());
    unchanged(await one.preview());
    const destroys = await faults.untilDone(() => one.destroy());
    assert.deepEqual(await one.onServers(), []);
    for (const [operation, met] of Object.entries({ up: ups, destroy: destroys })) {
      for (const system of [...HTTP, "KUBECONFIG"]) {
        // At least one read and one change.
        const kinds = met.filter((step) => step.startsWith(`${system} `));
        assert.ok(kinds.length >= 2, `${operation}: ${system} failed at ${kinds.join(", ")} only`);
      }
    }
  });

  /** Each kind of request fails in the first run that sends it, and succeeds afterwards. */
  async function faultsFor({ slug }: Project) {
    const random = seeded(SEED);
    const variables: Record<string, string> = {};
    let round = 0;
    let firsts = new Map<string, { round: number; fault: Fault }>();
    const decide = (system: string) => (request: string) => {
      const kind = `${system} ${kindOf(request, slug)}`;
      const first = firsts.get(kind);
      if (first) return first.round === round ? first.fault : undefined;
      const fault = FAULTS[Math.floor(random() * FAULTS.length)] ?? "reset";
      firsts.set(kind, { round, fault });
      return fault;
    };
    for (const name of HTTP) {
      const proxy = await startFaultyProxy(variable(name));
      closing.push(() => proxy.close());
      proxy.decide(decide(name));
      variables[name] = proxy.url;
    }
    const { clusters } = JSON.parse(await readFile(variable("KUBECONFIG"), "utf8")) as {
      clusters: { cluster: { server: string } }[];
    };
    const kubernetes = await startFaultyProxy(clusters[0]?.cluster.server ?? "");
    closing.push(() => kubernetes.close());
    kubernetes.decide(decide("KUBECONFIG"));
    variables["KUBECONFIG"] = await writeKubeconfig({ server: kubernetes.url });
    const cutting = await Promise.all(
      ["POSTGRES_ADMIN_URL", "REDIS_ADMIN_URL"].map(async (name) => {
        const url = new URL(variable(name));
        const proxy = await startCuttingProxy(new URL(url));
        closing.push(() => proxy.close());
        url.host = proxy.address;
        variables[name] = url.href;
        return proxy;
      }),
    );

    return {
      /** Repeats the operation until it succeeds. Returns the kinds of requests that failed. */
      async untilDone(operation: Project["destroy"]): Promise<string[]> {
        firsts = new Map();
        let lastProgress = 0;
        for (round = 1; ; round++) {
          assert.ok(!ended, "the test has timed out");
          for (const { allow } of cutting) allow(round * round);
          const known = firsts.size;
          const attempt = withVariables(variables, operation);
          running = attempt;
          const run = await attempt;
          if (run.result === "succeeded") return [...firsts.keys()];
          assert.ok(run.errors.length > 0);
          for (const { message } of run.errors) assert.doesNotMatch(message, /^\s+at |\[object/m);
          if (firsts.size > known) lastProgress = round;
          const failed = [...firsts].map(([kind, first]) => `${first.round} ${kind}`).join("\n");
          const failures = run.errors.map(({ message }) => message).join("\n");
          assert.ok(
            round - lastProgress < MAX_ROUNDS_WITHOUT_PROGRESS,
            `it does not converge: ${round} runs, nothing new since ${lastProgress}.\n${failures}\n${failed}`,
          );
        }
      },
    };
  }
});

/**
 * `GET /api/v1/repos/projects/*`: replaces the parts that differ between projects and runs. Pulumi
 * gives the Secret `<slug>-env-1a2b3c4d` another name after each failed create.
 */
function kindOf(request: string, slug: string): string {
  const [path = ""] = request.split("?");
  return path
    .replaceAll(slug, "*")
    .replace(/-env-[0-9a-f]{8}$/, "-env-*")
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}|sha256:[0-9a-f]+|\b\d+\b/g, "*");
}
