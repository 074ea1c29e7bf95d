import assert from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { auditLog } from "../../../automation/audit/log.ts";
import { Conductor } from "../../../automation/rollouts/conductor.ts";
import { programVersion } from "../../../automation/rollouts/program-version.ts";
import { Rollouts } from "../../../automation/rollouts/rollouts.ts";
import { rolloutRequest } from "../../../core/rollout.ts";
import { PLATFORM } from "../../../sandbox/platform.ts";
import { until } from "../../../sandbox/process.ts";
import { OperationsStage } from "../../support/operations-stage.ts";
import { platformStage } from "../../support/stage.ts";
import { uniqueSlug } from "../../support/unique-slug.ts";

const path = (name: string) => fileURLToPath(new URL(`../../support/${name}`, import.meta.url));
const BEFORE = path("settings-program.ts");
const AFTER = path("next-settings-program.ts");
const ADA = { id: "ada", actor: "ada" };

describe("a rollout by the engine", function () {
  this.timeout(400_000);
  let stage: OperationsStage;

  before(() => platformStage());
  beforeEach(async () => void (stage = await OperationsStage.open()));
  afterEach(() => stage.close());

  it("does what was approved, also after a kill in the middle, and holds back what differs", async () => {
    const [plain, slow, changed, gone] = Array.from({ length: 4 }, uniqueSlug);
    const names = {
      [plain!]: "plain",
      [slow!]: "slow=4000",
      [changed!]: "changed",
      [gone!]: "gone",
    };
    const first = await stage.runner({ program: BEFORE });
    for (const [slug, name] of Object.entries(names)) {
      const { state } = await stage.end(await stage.up(slug, name));
      assert.equal(state, "succeeded", slug);
    }
    await first.stop({ deadline: 0 });

    const replica = await stage.replica(AFTER);
    const { store } = stage.test;
    const version = await programVersion(AFTER);
    assert.notEqual(version, await programVersion(BEFORE));
    const common = { platform: PLATFORM, version, audit: auditLog(store) };
    const rollouts = new Rollouts(store, common);
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const check = async () => undefined;
    const { operations } = stage;
    const conductor = new Conductor({ ...common, store, operations, log, check });
    conductor.start();
    const reach = async (id: string, wanted: string) => {
      await until(
        async () => {
          const found = await rollouts.find(id);
          assert.equal(found?.state, wanted, found?.reason);
        },
        undefined,
        180_000,
      );
      return (await rollouts.find(id))!;
    };
    try {
      const request = { waves: ["rest"], pauseSeconds: 0, atOnce: 1 };
      const { id } = await rollouts.start(rolloutRequest.parse(request), ADA);
      const planned = await reach(id, "planned");
      const plan = await rollouts.report(planned);
      assert.deepEqual(
        plan.changed.map(({ stacks, changes }) => [
          stacks.length,
          changes.map(({ op, name }) => `${op} ${name}`),
        ]),
        [[4, ["create added"]]],
        "all would change alike",
      );
      const deleted = await stage.end(await stage.submit(gone!, { kind: "destroy" }));
      assert.equal(deleted.state, "succeeded");
      const direct = await stage.end(await stage.up(changed!, "changed"));
      assert.equal(direct.state, "succeeded");

      await rollouts.approve(id, { plan: planned.plan!, dataLoss: false }, ADA);
      const running = await untilFound(async () => {
        const { operation } = (await rollouts.projects(id)).find(({ slug }) => slug === slow) ?? {};
        return operation === undefined ? undefined : operations.find(operation);
      });
      await stage.until(
        running,
        (event) => event.event === "resourceStarted" && event.name === "added",
      );
      replica.kill("SIGKILL");
      await once(replica, "exit");
      await stage.runner({ program: AFTER });

      const ended = await reach(id, "incomplete");
      const states = Object.fromEntries(
        (await rollouts.projects(id)).map(({ slug, state, reason }) => [
          slug,
          reason ? `${state}:${reason.code}` : state,
        ]),
      );
      assert.deepEqual(states, {
        [plain!]: "succeeded",
        [slow!]: "succeeded",
        [changed!]: "held:plan-differs",
        [gone!]: "skipped:deleted",
      });
      assert.equal((await operations.find(running.id))?.attempts, 2);
      const { failed } = await rollouts.report(ended);
      assert.equal(failed[0]?.errors[0]?.code, "RDEV_PLAN");
      const rows = await stage.test.admin("SELECT slug, program_version FROM projects");
      assert.deepEqual(
        Object.fromEntries(rows.map((row) => [row["slug"], row["program_version"]])),
        { [plain!]: version, [slow!]: version, [changed!]: version },
        "the deleted project is not created again",
      );
    } finally {
      await conductor.stop();
      await rollouts.close();
    }
    for (const slug of [plain!, slow!, changed!]) {
      await stage.end(await stage.submit(slug, { kind: "destroy" }));
    }
  });
});

/** Waits until there is a value. */
async function untilFound<T>(find: () => Promise<T | undefined>): Promise<T> {
  let found: T | undefined;
  await until(
    async () => {
      found = await find();
      assert.ok(found);
    },
    undefined,
    180_000,
  );
  return found!;
}
