import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { destroy, preview, up } from "../../../automation/engine/stack.ts";
import { recordOperation } from "../../../automation/operations/record-operation.ts";
import { ProjectRecords } from "../../../automation/store/project-records.ts";
import { SETTINGS_RECORD } from "../../../core/recorded-settings.ts";
import type { ProjectChanges } from "../../../core/settings.ts";
import { PLATFORM } from "../../../sandbox/platform.ts";
import { withoutResources } from "../../support/edit-state.ts";
import { OperationsStage } from "../../support/operations-stage.ts";
import program from "../../support/settings-program.ts";
import { platformStage } from "../../support/stage.ts";
import { uniqueSlug } from "../../support/unique-slug.ts";

const PROGRAM = fileURLToPath(new URL("../../support/settings-program.ts", import.meta.url));
const SETTINGS = { name: "Shop", sizes: { replicas: 3 }, retainData: true };

describe("a project's settings", function () {
  this.timeout(400_000);
  let stage: OperationsStage;
  let workDir: string;
  let slug: string;

  before(async () => void ({ workDir } = await platformStage()));
  beforeEach(async () => {
    stage = await OperationsStage.open();
    slug = uniqueSlug();
  });
  afterEach(async () => {
    await destroy(`${PLATFORM}.${slug}`, { workDir, remove: true });
    await stage.close();
  });

  const run = () => stage.runner({ program: PROGRAM });
  const put = (settings: ProjectChanges) =>
    stage.submit(slug, { kind: "up", settings, onFailure: "keep" });
  const done = async (settings: ProjectChanges) => {
    const { outcome } = await stage.end(await put(settings));
    assert.deepEqual(outcome?.errors, []);
    return outcome;
  };
  const known = () => new ProjectRecords(stage.test.store).find(slug);
  /** Like the command line. */
  const byCommand = (config: Record<string, string | object> = {}) =>
    recordOperation(
      { store: stage.test.store, actor: "ada", stack: `${PLATFORM}.${slug}`, operation: "up" },
      (formerly) => up(`${PLATFORM}.${slug}`, { workDir, program, formerly, config }),
    );

  it("start from the defaults for a PUT that waits behind a DELETE", async () => {
    await run();
    await done(SETTINGS);
    const queued = [await stage.submit(slug, { kind: "destroy" }), await put({ retainData: true })];
    assert.deepEqual((await known())?.settings, { retainData: true });
    for (const operation of queued) {
      assert.equal((await stage.end(operation)).state, "succeeded");
    }
    assert.deepEqual((await known())?.settings, { retainData: true });
    await done({});
    assert.deepEqual((await known())?.settings, { retainData: true });
  });

  it("are the same for the API and the command line", async () => {
    await run();
    await done(SETTINGS);
    const { changes, settings, errors } = await byCommand();
    assert.deepEqual([errors, settings], [[], SETTINGS]);
    assert.deepEqual(changes, { create: 0, update: 0, replace: 0, delete: 0, same: 3 });
    await byCommand({ sizes: { replicas: 2 } });
    const now = { ...SETTINGS, sizes: { replicas: 2 } };
    const { status, settings: shown } = (await known())!;
    assert.deepEqual([status, shown], ["ready", now]);
    const view = { kind: "preview", settings: {}, of: "up" } as const;
    const expected = await stage.end(await stage.submit(slug, view));
    assert.equal(expected.outcome?.changes.update, 0);
  });

  it("are known to the API if the command line created the project", async () => {
    await byCommand({ name: "Shop", retainData: "true" });
    const { status, settings, outputs, name } = (await known())!;
    assert.deepEqual([status, name, outputs], ["ready", "Shop", { name: "Shop" }]);
    assert.deepEqual(settings, { name: "Shop", retainData: true });
    await byCommand({ name: "fail=on purpose" });
    assert.equal((await known())?.status, "incomplete");
    await run();
    await done({ name: "Shop" });
    assert.equal((await known())?.status, "ready");
  });

  it("that contradict those of the last up are reported in the preview", async () => {
    await run();
    await done(SETTINGS);
    const diagnostics: string[] = [];
    const { errors } = await preview(`${PLATFORM}.${slug}`, {
      workDir,
      program,
      config: { sizes: { replicas: 1 }, retainData: "false" },
      onEvent: (event) => {
        if (event.event === "diagnostic") diagnostics.push(event.message);
      },
    });
    assert.deepEqual(errors, []);
    assert.deepEqual(diagnostics, [
      "These settings differ from those of the last up; this up changes them:\n" +
        "  - retainData: true → false\n  - sizes.replicas: 3 → 1",
    ]);
  });

  it("survive a failed up, whether or not it created anything", async () => {
    await run();
    assert.equal((await stage.end(await put({ ...SETTINGS, name: "nothing=no" }))).state, "failed");
    assert.equal((await stage.end(await put({ name: "fail=no" }))).state, "failed");
    assert.deepEqual((await known())?.settings, { ...SETTINGS, name: "fail=no" });
    await done({ name: "Shop" });
    assert.deepEqual((await known())?.settings, SETTINGS);
    assert.equal((await stage.end(await put({ name: "nothing=no" }))).state, "failed");
    await done({});
    assert.deepEqual((await known())?.settings, SETTINGS);
  });

  it("are copied once from the database for a stack that does not record them", async () => {
    await run();
    await done(SETTINGS);
    for (const again of [() => done({}), () => byCommand()]) {
      await withoutResources(`${PLATFORM}.${slug}`, workDir, SETTINGS_RECORD);
      const outcome = await again();
      assert.deepEqual(outcome?.settings, SETTINGS);
      // Only the record is created.
      assert.deepEqual(outcome.changes, { create: 1, update: 0, replace: 0, delete: 0, same: 2 });
    }
  });

  it("are copied once from the stack's file for a stack that does not record them", async () => {
    await byCommand({ name: "Shop", sizes: { replicas: 3 } });
    await withoutResources(`${PLATFORM}.${slug}`, workDir, SETTINGS_RECORD);
    await stage.test.admin("UPDATE projects SET settings = '{}'");
    const { settings, changes } = await byCommand();
    assert.deepEqual(settings, { name: "Shop", sizes: { replicas: 3 } });
    assert.deepEqual(changes, { create: 1, update: 0, replace: 0, delete: 0, same: 2 });
    await run();
    await done({ retainData: true });
    assert.deepEqual((await known())?.settings, { ...settings, retainData: true });
  });

  it("are read from the request of an operation that another version queued", async () => {
    const queued = await put(SETTINGS);
    const merged = JSON.stringify({ ...SETTINGS, retainRepository: true });
    await stage.test.admin(
      `UPDATE operations SET settings = '${merged}' WHERE id = '${queued.id}'`,
    );
    await run();
    const { outcome } = await stage.end(queued);
    assert.deepEqual(outcome?.settings, SETTINGS);
  });
});
