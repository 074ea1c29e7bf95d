import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import * as pulumi from "@pulumi/pulumi";
import { backUp } from "../../../automation/backup/backup.ts";
import { restore } from "../../../automation/backup/restore.ts";
import { presentStacks } from "../../../automation/backup/stacks.ts";
import { runPulumi } from "../../../automation/engine/command.ts";
import { makeWorkFolder } from "../../../automation/engine/folders.ts";
import { destroy, preview, up } from "../../../automation/engine/stack.ts";
import { Operations } from "../../../automation/operations/operations.ts";
import { Runner } from "../../../automation/operations/runner.ts";
import { findSecrets } from "../../../automation/secrets/readable.ts";
import { Projects } from "../../../automation/store/projects.ts";
import { projectStackName } from "../../../core/stack-name.ts";
import { PLATFORM } from "../../../sandbox/platform.ts";
import { coded, fails } from "../../support/errors.ts";
import { type EngineFolder, makeEngineFolder, Thing } from "../../support/engine-folder.ts";
import { filesUnder, leaksIn, Secrets } from "../../support/leaks.ts";
import { OperationsStage, STEERED } from "../../support/operations-stage.ts";
import { platformStage, succeeded } from "../../support/stage.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";
import { uniqueSlug } from "../../support/unique-slug.ts";
import { withVariables } from "../../support/variables.ts";

const PROGRAM = async () => {
  new Thing("a", { size: 1, other: pulumi.secret("planted-4711") });
  return { made: true };
};

describe("a restore", function () {
  this.timeout(400_000);
  let engine: EngineFolder;
  let source: TestStore;
  /** Where the backup is restored to. */
  let place: EngineFolder;
  let target: TestStore;
  let folder: string;
  let file: string;
  let identity: string;

  before(async () => {
    identity = await generateIdentity();
    engine = await makeEngineFolder();
    source = await createTestStore();
    const project = { slug: "shop", platform: "staging", name: "Shop", citadelTenantId: null };
    await new Projects(source.store).put(project);
    await withVariables(engine.variables, async () => {
      for (const stack of ["staging", "staging.shop", "staging.gone"]) {
        succeeded(await up(stack, { workDir: engine.workDir, program: PROGRAM }));
      }
      succeeded(await destroy("staging.gone", { workDir: engine.workDir }));
    });
    // As in the cluster, where the platform's program makes the file.
    await writeFile(join(engine.workDir, "Pulumi.staging.yaml"), "config:\n  rdev:size: 1\n");
  });
  after(async () => {
    await engine.remove();
    await source.drop();
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-restore-"));
    place = await makeEngineFolder();
    target = await createTestStore({ migrated: false });
    const recipients = [await identityToRecipient(identity)];
    const options = { folder, recipients, workDir: engine.workDir, store: source.store };
    ({ file } = await withVariables(engine.variables, () => backUp(options)));
  });
  afterEach(async () => {
    await target.drop();
    await place.remove();
    await rm(folder, { recursive: true });
  });

  const elsewhere = <T>(work: () => Promise<T>, more: Record<string, string> = {}) =>
    withVariables({ ...place.variables, ...more }, work);
  const restored = (variables: Record<string, string> = {}, identities = [identity]) => {
    const { workDir } = place;
    const options = { file, identities, workDir, database: target, actor: "ada" };
    return elsewhere(() => restore(options), variables);
  };
  const stacks = () => elsewhere(() => presentStacks(place.workDir));
  const settingsFiles = async () =>
    (await readdir(place.workDir)).filter((name) => /^Pulumi\..+\.yaml$/.test(name)).toSorted();

  it("brings stacks, their files and the database back, in which nothing is to change", async () => {
    const { stacks: made, operations } = await restored();
    assert.deepEqual([...made.keys()], ["staging", "staging.shop"]);
    assert.deepEqual(operations, []);
    assert.deepEqual(await settingsFiles(), [
      "Pulumi.staging.gone.yaml",
      "Pulumi.staging.shop.yaml",
      "Pulumi.staging.yaml",
    ]);
    assert.equal((await new Projects(target.store).find("shop"))?.name, "Shop");
    const found = await elsewhere(() => findSecrets("staging", place.workDir));
    assert.ok(found.file?.opener);
    assert.deepEqual(found.file, found.state);
    await elsewhere(async () => {
      for (const stack of ["staging", "staging.shop"]) {
        const outcome = await preview(stack, { workDir: place.workDir, program: PROGRAM });
        const { same, ...changes } = succeeded(outcome).changes;
        assert.deepEqual(changes, { create: 0, update: 0, replace: 0, delete: 0 });
        assert.ok(same > 0);
      }
    });
    const planted = new Secrets({ planted: "planted-4711" });
    assert.deepEqual(await leaksIn(filesUnder(folder), planted), []);
    assert.deepEqual(await leaksIn(filesUnder(place.state), planted), []);
  });

  it("writes nothing if the key, the passphrase or the archive is wrong", async () => {
    await fails(coded(restored({}, [await generateIdentity()])), "RDEV_BACKUP_KEY");
    await fails(coded(restored({ PULUMI_CONFIG_PASSPHRASE: "another" })), "RDEV_CONNECTION");
    const whole = await readFile(file);
    await writeFile(file, whole.subarray(0, whole.length / 2));
    await fails(coded(restored()), "RDEV_BACKUP");
    assert.equal((await stacks()).size, 0);
    assert.deepEqual(await settingsFiles(), []);
    const tables = await target.admin("SELECT 1 FROM pg_tables WHERE schemaname = 'public'");
    assert.deepEqual(tables, []);
  });

  it("refuses a platform that is not empty, and names all that is there", async () => {
    const { workDir } = place;
    await elsewhere(async () => {
      const program = async () => {
        new Thing("b");
        return { made: true };
      };
      succeeded(await up("staging", { workDir, program }));
      succeeded(await up("staging.blog", { workDir, program }));
    });
    await writeFile(join(workDir, "Pulumi.staging.shop.yaml"), "config: { rdev:a: b }\n");
    await writeFile(join(workDir, "Pulumi.staging.yaml"), '# mine\nconfig: { rdev:size: "1" }\n');
    const { message } = await fails(coded(restored()), "RDEV_NOT_EMPTY");
    for (const line of [
      "the stack staging has other objects",
      "the stack staging.blog is not in the backup",
      `the file ${join(workDir, "Pulumi.staging.shop.yaml")} differs`,
    ]) {
      assert.ok(message.includes(line), message);
    }
    assert.ok(!message.includes("Pulumi.staging.yaml differs"), message);
    const before = await stacks();
    await restored().catch(() => undefined);
    assert.deepEqual(await stacks(), before);
  });

  it("can be run again after it was interrupted, and then refuses to run over its own work", async () => {
    // The first attempt made the record of one stack, and all of another one.
    const state = await withVariables(engine.variables, () =>
      runPulumi(["stack", "export", "--stack", "staging"], { workDir: engine.workDir }),
    );
    const { workDir } = place;
    await elsewhere(async () => {
      const run = (...args: string[]) => runPulumi(args, { workDir });
      await run("stack", "init", "--no-select", "staging.shop");
      await run("stack", "init", "--no-select", "staging");
      await writeFile(join(folder, "state.json"), state);
      await run("stack", "import", "--stack", "staging", "--file", join(folder, "state.json"));
    });
    await rm(join(workDir, "Pulumi.staging.yaml"));
    await rm(join(workDir, "Pulumi.staging.shop.yaml"));
    await restored();
    assert.deepEqual([...(await stacks()).keys()], ["staging", "staging.shop"]);
    assert.ok([...(await stacks()).values()].every(({ isEmpty }) => !isEmpty));
    const { message } = await fails(coded(restored()), "RDEV_NOT_EMPTY");
    assert.match(message, /the table projects has 1 row/);
    assert.doesNotMatch(message, /the stack/);
  });
});

describe("an operation that ran during the backup", function () {
  this.timeout(400_000);
  let stage: OperationsStage;
  let target: TestStore;
  let folder: string;

  before(async () => {
    stage = await OperationsStage.open();
    target = await createTestStore({ migrated: false });
    folder = await mkdtemp(join(tmpdir(), "rdev-restore-"));
    await mkdir(join(folder, "state"));
  });
  after(async () => {
    await stage.close();
    await target.drop();
    await rm(folder, { recursive: true });
  });

  it("is continued by the restored service", async () => {
    const { workDir } = await platformStage();
    const slug = uniqueSlug();
    await stage.runner();
    const slow = await stage.up(slug, "slow=5000");
    await stage.until(slow, (event) => "name" in event && event.name === "slow");
    const { file } = await backUp({
      folder,
      recipients: "unencrypted",
      workDir,
      store: stage.test.store,
    });
    succeeded((await stage.end(slow)).outcome!);

    const work = await makeWorkFolder(join(folder, "work"));
    for (const name of await readdir(work)) {
      if (/^Pulumi\..+\.yaml$/.test(name)) await rm(join(work, name));
    }
    const variables = { PULUMI_BACKEND_URL: `file://${join(folder, "state")}?metadata=skip` };
    await withVariables(variables, async () => {
      const options = { file, identities: "unencrypted", workDir: work, database: target } as const;
      const { operations, stacks } = await restore({ ...options, actor: "ada" });
      assert.deepEqual(operations, [{ id: slow.id, kind: "up", slug }]);
      assert.equal(stacks.get(projectStackName(PLATFORM, slug))?.isInterrupted, true);

      const { store } = target;
      const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
      const runner = new Runner({ store, log, program: STEERED });
      const restored = new Operations(store);
      await runner.start();
      try {
        for await (const _ of restored.follow(slow.id, 0, AbortSignal.timeout(90_000)));
        const ended = await restored.find(slow.id);
        succeeded(ended!.outcome!);
        assert.equal(ended!.attempts, 2);
      } finally {
        await runner.stop({ deadline: 0 });
        await restored.close();
      }
    });
    succeeded((await stage.end(await stage.submit(slug, { kind: "destroy" }))).outcome!);
  });
});
