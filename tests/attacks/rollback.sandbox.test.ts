import assert from "node:assert/strict";
import { listAudit } from "../../automation/audit/queries.ts";
import { destroy, up } from "../../automation/engine/stack.ts";
import { StackState } from "../../automation/engine/state.ts";
import { projectStackName } from "../../core/stack-name.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { OperationsStage, STEERED } from "../support/operations-stage.ts";
import { platformStage, projects, succeeded } from "../support/stage.ts";
import { uniqueSlug } from "../support/unique-slug.ts";

describe("a rollback that an operator requests", function () {
  this.timeout(400_000);
  let stage: OperationsStage;
  const newProject = projects();

  beforeEach(async () => void (stage = await OperationsStage.open()));
  afterEach(() => stage.close());

  const recordOf = async (slug: string) => {
    const rows = await listAudit(stage.test.store, { project: slug, limit: 50 });
    return rows.map(({ action, result }) => `${action} ${result}`);
  };

  it("is refused for a project that the command made, and deletes nothing", async () => {
    const project = await newProject();
    succeeded(await project.up());
    const before = await project.onServers();
    assert.ok(before.length > 5, before.join("\n"));
    // The project is not in the service's database. The service runs the real program.
    await stage.replica();
    const request = { kind: "up", settings: { template: "nope" }, onFailure: "rollback" } as const;
    const refused = await stage.end(await stage.submit(project.slug, request));
    assert.equal(refused.state, "failed");
    assert.equal(refused.outcome?.errors[0]?.code, "RDEV_ROLLBACK");
    assert.match(refused.outcome.errors[0].message, /^Nothing was done\. .*"onFailure": "keep"/);
    assert.equal(refused.outcome.changes.delete, 0);
    assert.deepEqual(await project.onServers(), before);
    const actions = (await recordOf(project.slug)).filter((each) => each.startsWith("project."));
    assert.deepEqual(
      actions.filter((each) => each.includes("rollback") || each.includes("destroy")),
      [],
    );
    succeeded(await project.destroy());
  });

  it("is refused if an earlier operation of the service made the project", async () => {
    await stage.runner();
    const slug = uniqueSlug();
    assert.equal((await stage.end(await stage.up(slug, "fail=no"))).state, "failed");
    // No `up` has ever succeeded, so the project has no outputs on record.
    const refused = await stage.end(await stage.up(slug, "fail=no", "rollback"));
    assert.equal(refused.outcome?.errors[0]?.code, "RDEV_ROLLBACK");
    const { workDir } = await platformStage();
    const state = await StackState.read(projectStackName(PLATFORM, slug), workDir);
    assert.ok(state.objects.some((urn) => urn.endsWith("::first")));
    await stage.end(await stage.submit(slug, { kind: "destroy" }));
  });

  it("is refused if it would delete a database that an earlier destroy kept", async () => {
    const project = await newProject();
    succeeded(await project.up({ config: { retainData: "true" } }));
    succeeded(await project.destroy());
    const kept = await project.onServers();
    assert.ok(
      kept.some((line) => line.includes("database")),
      kept.join("\n"),
    );
    await stage.runner();
    const refused = await stage.end(await stage.up(project.slug, "fail=no", "rollback"));
    assert.equal(refused.outcome?.errors[0]?.code, "RDEV_ROLLBACK");
    assert.match(refused.outcome.errors[0].message, /postgres: database /);
    assert.deepEqual(await project.onServers(), kept);
    succeeded(await project.up({ config: { retainData: "false" } }));
    succeeded(await project.destroy());
  });

  it("is in the audit log as a rollback, with its start and its result", async () => {
    await stage.runner();
    const slug = uniqueSlug();
    const undone = await stage.end(await stage.up(slug, "fail=no", "rollback"));
    assert.equal(undone.state, "failed");
    assert.ok(undone.outcome!.changes.delete > 0);
    assert.deepEqual(await recordOf(slug), [
      "operation.submit success",
      "project.create started",
      "project.create failure",
      "project.rollback started",
      "project.rollback success",
    ]);
    const name = projectStackName(PLATFORM, slug);
    assert.equal(await StackState.find(name, (await platformStage()).workDir), undefined);
  });

  it("deletes what the operation made before its worker was killed", async () => {
    const slug = uniqueSlug();
    await stage.runner();
    const slow = await stage.up(slug, "slow-fail=3000", "rollback");
    await stage.until(slow, (event) => "name" in event && event.name === "slow");
    const [row] = await stage.test.admin(`SELECT engines FROM operation_attempts`);
    for (const pid of row!["engines"] as number[]) tryKill(pid);
    const ended = await stage.end(slow);
    assert.equal(ended.attempts, 2);
    assert.deepEqual(
      ended.outcome?.errors.map(({ message }) => message),
      ["no"],
    );
    const name = projectStackName(PLATFORM, slug);
    assert.equal(await StackState.find(name, (await platformStage()).workDir), undefined);
  });

  it("deletes nothing that someone else made after the check", async () => {
    const slug = uniqueSlug();
    const { workDir } = await platformStage();
    const name = projectStackName(PLATFORM, slug);
    const { default: program } = (await import(STEERED)) as { default: () => Promise<object> };
    await stage.runner();
    const config = { name: "plain" };
    // Both check before the stack exists. The first one to lock the stack makes it.
    const theirs = up(name, { workDir, config, program });
    const ours = await stage.end(await stage.up(slug, "fail=no", "rollback"));
    const made = await theirs;
    assert.equal(ours.state, "failed");
    if (made.result === "succeeded") {
      const state = await StackState.read(name, workDir);
      assert.ok(state.objects.length > 0, "the other's resources were deleted");
    }
    await destroy(name, { workDir, remove: true });
  });
});

function tryKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // the process has already ended
  }
}
