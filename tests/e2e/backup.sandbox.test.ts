import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { CoreV1Api } from "@kubernetes/client-node";
import { Decrypter, generateIdentity, identityToRecipient } from "age-encryption";
import { makeWorkFolder } from "../../automation/engine/folders.ts";
import { Operations } from "../../automation/operations/operations.ts";
import { Runner } from "../../automation/operations/runner.ts";
import { connectionSecrets } from "../../core/connections.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { applicationEnvironment, kubeConfig } from "../../sandbox/proofs/project.ts";
import { runCli } from "../cli/run-cli.ts";
import { Secrets } from "../support/leaks.ts";
import { runningSandbox } from "../support/sandbox.ts";
import { type Project, projects, succeeded } from "../support/stage.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";
import { withVariables } from "../support/variables.ts";

describe("a platform whose database and states were lost", function () {
  this.timeout(600_000);
  const project = projects();
  let folder: string;
  let lost: TestStore;
  let fresh: TestStore;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-drill-"));
    await mkdir(join(folder, "state"));
    lost = await createTestStore();
    fresh = await createTestStore({ migrated: false });
  });
  after(async () => {
    await fresh.drop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs a command that must succeed, and returns what it prints. */
  const run = async (args: string[], variables: Record<string, string>) => {
    const { code, stdout, stderr } = await runCli(args, { variables });
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout;
  };

  it("is restored from its backup, while its projects' pods go on", async () => {
    const [shop, blog] = [await project(), await project()];
    const before = { DATABASE_URL: lost.url };
    for (const { stack, workDir, name } of [shop, blog]) {
      await run(["up", stack, "--yes", "--work-dir", workDir, "-c", `name=${name}`], before);
    }
    succeeded(await shop.up()); // for its tenant's id
    const refresh = await interruptedRefresh(lost, shop);
    const pods = await podsOf([shop, blog]);

    const identity = await generateIdentity();
    const key = join(folder, "key.txt");
    await writeFile(key, `${identity}\n`, { mode: 0o600 });
    const to = ["--to", folder, "--recipient", await identityToRecipient(identity)];
    const made = await run(["backup", ...to, "--work-dir", shop.workDir, "--json"], before);
    const { file, stacks } = JSON.parse(made) as { file: string; stacks: string[] };
    for (const stack of [PLATFORM, shop.stack, blog.stack]) assert.ok(stacks.includes(stack), made);
    await requireNoSecrets(file, identity, shop);
    await lost.drop();

    const workDir = await makeWorkFolder(join(folder, "work"));
    await rm(join(workDir, `Pulumi.${PLATFORM}.yaml`));
    const after = {
      PULUMI_BACKEND_URL: `file://${join(folder, "state")}?metadata=skip`,
      DATABASE_URL: fresh.url,
      DATABASE_OWNER_URL: fresh.ownerUrl,
    };
    const checked = await run(["restore", file, "--identity", key, "--check"], after);
    assert.match(checked, /^The backup is complete: \d+ stacks, 2 projects, 1 operation, /);
    const restore = ["restore", file, "--identity", key, "--work-dir", workDir];
    const restored = await run(restore, after);
    assert.match(restored, /^Restored: \d+ stacks, 2 projects, /);
    assert.ok(restored.includes(`refresh of ${shop.slug} runs when the service starts`), restored);
    assert.match(restored, /The audit trail is intact: \d+ events\./);

    assert.match(await run(["audit", "verify"], after), /chain is intact/);
    const all = ["preview", "--all", "--expect-no-changes", "--work-dir", workDir];
    await run(all, after);
    await withVariables(after, () => requireContinued(fresh, refresh));
    await run(all, after);
    assert.deepEqual(await podsOf([shop, blog]), pods);

    const again = await runCli(restore, { variables: after });
    assert.equal(again.code, 1);
    assert.match(again.stderr, /RDEV_NOT_EMPTY: [\s\S]*the table projects has 2 rows/);
  });
});

/** A refresh whose service is gone. Returns its id. */
async function interruptedRefresh({ store, admin }: TestStore, one: Project): Promise<string> {
  const operations = new Operations(store);
  const { operation } = await operations.submit({
    platform: PLATFORM,
    slug: one.slug,
    actor: "ada",
    ifBusy: "refuse",
    request: { kind: "refresh" },
  });
  await operations.close();
  await admin("UPDATE operations SET state = 'running', attempts = 1, started_at = now()");
  return operation.id;
}

async function requireContinued({ store }: TestStore, id: string): Promise<void> {
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const runner = new Runner({ store, log, concurrency: 1 });
  const operations = new Operations(store);
  await runner.start();
  try {
    for await (const _ of operations.follow(id, 0, AbortSignal.timeout(120_000)));
    const operation = await operations.find(id);
    succeeded(operation!.outcome!);
    assert.equal(operation!.attempts, 2);
  } finally {
    await runner.stop({ deadline: 0 });
    await operations.close();
  }
}

/** The pods of the projects, with what changes when one is replaced or restarted. */
async function podsOf(some: readonly Project[]): Promise<unknown[]> {
  const found = [];
  for (const { slug: namespace, place } of some) {
    const { items } = await kubeConfig(place)
      .makeApiClient(CoreV1Api)
      .listNamespacedPod({ namespace });
    assert.ok(items.length > 0, `${namespace} has no pods`);
    for (const { metadata, spec, status } of items) {
      const containers = status?.containerStatuses?.map(({ restartCount }) => restartCount);
      found.push({ uid: metadata?.uid, labels: metadata?.labels, spec, containers });
    }
  }
  return found;
}

/** The states in the archive hold their secrets encrypted, also for who has the archive's key. */
async function requireNoSecrets(file: string, identity: string, one: Project): Promise<void> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  const plain = Buffer.from(gunzipSync(await decrypter.decrypt(await readFile(file))));
  const environment = await applicationEnvironment(one.stage());
  const passwordIn = (name: string) => new URL(environment[name] ?? "").password;
  const configured = connectionSecrets(runningSandbox().env).map(
    (secret, index) => [`variable ${index}`, secret] as const,
  );
  assert.ok(configured.length >= 10);
  const secrets = new Secrets({
    ...Object.fromEntries(configured),
    database: passwordIn("DATABASE_URL"),
    cache: passwordIn("REDIS_URL"),
  });
  assert.deepEqual(secrets.in(plain), []);
}
