import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CoreV1Api } from "@kubernetes/client-node";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { z } from "zod";
import { makeWorkFolder } from "../../automation/engine/folders.ts";
import { sdkVersion } from "../../automation/engine/versions.ts";
import { giteaUrl } from "../../sandbox/node/ingress.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { until } from "../../sandbox/process.ts";
import { InstalledService } from "../support/installed-service.ts";
import { skipWithoutNode } from "../support/node.ts";
import type { NodePlatform } from "../support/node-projects.ts";
import { askProber, createProber, PROBER_PORT } from "../support/prober.ts";
import { NEXT_RELEASE } from "../support/service-images.ts";
import { SignedInPerson } from "../support/signed-in-person.ts";

const plugins = z.array(z.object({ name: z.string(), version: z.string() }));
const page = z.object({ items: z.array(z.looseObject({ slug: z.string() })) });

const PROJECT = "my-project";
const PROJECT_STACK = `${PLATFORM}.${PROJECT}`;

// Each test goes on from the one before: installed, used, upgraded, backed up, destroyed, restored.
describe("the service that the platform's stack installs on a real node", function () {
  this.timeout(400_000);
  let service: InstalledService;
  let person: SignedInPerson;
  let backupKey: string;
  let backup: string;
  let core: CoreV1Api;

  before(async function () {
    await skipWithoutNode(this);
    backupKey = await generateIdentity();
    service = await InstalledService.start(await identityToRecipient(backupKey));
    core = service.platform.cluster.makeApiClient(CoreV1Api);
  });
  after(() => service?.platform.sandbox.stop());

  const changesNothing = async (platform: NodePlatform, ...stacks: readonly string[]) => {
    const preview = await platform.command("preview", ...stacks, "--expect-no-changes");
    assert.equal(preview.exitCode, 0, preview.all);
  };
  const podsOfProject = async () => {
    const { items } = await core.listNamespacedPod({ namespace: PROJECT });
    assert.ok(items.length > 0);
    return items.map(({ metadata }) => metadata?.uid);
  };

  it("runs twice, after its migration, and a further up would change nothing", async () => {
    await service.isAvailable(2);
    const migration = (await service.jobs()).find(({ metadata }) =>
      metadata?.name?.startsWith("rdev-infra-migrate-"),
    );
    assert.equal(migration?.status?.succeeded, 1);
    await changesNothing(service.platform, PLATFORM);
  });

  it("has all plugins in its image, whose root file system it cannot write to", async () => {
    const { stdout } = await service.inPod(["pulumi", "plugin", "ls", "--json"]);
    const found = plugins.parse(JSON.parse(stdout));
    assert.deepEqual(
      found.map(({ name, version }) => `${name} ${version}`).sort(),
      ["command", "kubernetes", "random"].map((name) => `${name} ${sdkVersion(name)}`),
    );
    const { stderr } = await service.inPod(["git", "init", "/app/new"]);
    assert.match(stderr, /Read-only file system/);
  });

  it("has a name in the platform's zone, and passes the checks of an installation", async () => {
    const resolver = new Resolver();
    resolver.setServers([service.platform.sandbox.dns]);
    const { host } = new URL(service.origin);
    assert.deepEqual(await resolver.resolve4(host), [service.ingress.address]);
    const { exitCode, all } = await service.platform.command("install", PLATFORM, "--check");
    assert.equal(exitCode, 0, all);
    assert.match(all, /✔ ingress class: traefik/);
  });

  it("trusts the platform's own authority, also when it clones", async () => {
    const { gitOrganization, domain } = service.platform.settings;
    const url = `${giteaUrl(domain)}/${gitOrganization}/none.git`;
    // Without a terminal, git cannot ask for the password that Gitea wants.
    const { stderr } = await service.inPod(["git", "ls-remote", url]);
    assert.match(stderr, /could not read Username/);
  });

  it("is not reached by other pods", async () => {
    const { cluster } = service.platform;
    const outside = "outside";
    await core.createNamespace({ body: { metadata: { name: outside } } });
    await until(() => core.readNamespacedServiceAccount({ namespace: outside, name: "default" }));
    await createProber(cluster, outside, "prober");
    const url = `${await service.clusterUrl()}/readyz`;
    const ask = (path: string, query: Record<string, string>) =>
      askProber(cluster, { namespace: outside, prober: `pods/prober:${PROBER_PORT}` }, path, query);
    await until(() => ask("/", {}));
    await assert.rejects(ask("/fetch", { url }), /refused/);
  });

  it("completes what a person asks for through the ingress, although the replica is killed", async () => {
    const { origin, ingress, gitea } = service;
    person = await SignedInPerson.signIn(origin, ingress, gitea);
    const begun = await person.begin("PUT", `/v1/projects/${PROJECT}`, { name: "My Project" });
    await person.seesDone(begun, "gitea:Repository");
    await service.kill(await service.podThatWorksOn(PROJECT));
    const { state, attempts, actor } = await person.ended(begun);
    assert.deepEqual([state, attempts], ["succeeded", 2]);
    assert.ok(actor.startsWith(`user:${gitea.login} (`), actor);
    await changesNothing(service.platform, PROJECT_STACK);
    await service.isAvailable(2);
  });

  it("is upgraded one replica after the other, while it answers and works", async () => {
    const before = (await service.pods()).map(({ metadata }) => metadata?.uid);
    const endLoad = person.load(`/v1/projects/${PROJECT}`);
    const refresh = await person.begin("POST", `/v1/projects/${PROJECT}/refresh`);
    await service.upgrade();
    await service.isAvailable(2);
    assert.equal((await person.ended(refresh)).state, "succeeded");
    const { answers, lost } = await endLoad();
    // On a busy machine the ingress may learn of a replica's end too late.
    assert.ok(answers > 50 && lost <= 2, `${answers} requests were answered, ${lost} were not`);
    for (const { metadata, spec } of await service.pods()) {
      assert.equal(spec?.containers[0]?.image, service.images.next);
      assert.ok(!before.includes(metadata?.uid));
    }
    const [last] = await service.query("SELECT max(name) AS name FROM kysely_migration");
    assert.equal(last?.["name"], "998-next");
    await changesNothing(service.platform, PLATFORM);
  });

  it("is backed up, with all that a restore needs", async () => {
    const files = await service.backUp();
    assert.equal(files.length, 1);
    [backup = ""] = files;
  });

  it("is restored from the backup alone after all of it was destroyed", async () => {
    const { folder } = service.platform.sandbox;
    const pods = await podsOfProject();
    await service.destroyAll();

    const workFolder = await makeWorkFolder(join(folder, "restored"));
    await rm(join(workFolder, `Pulumi.${PLATFORM}.yaml`));
    const keyFile = join(folder, "backup-key.txt");
    await writeFile(keyFile, `${backupKey}\n`, { mode: 0o600 });
    // The release that made the backup.
    const release = { NODE_OPTIONS: `--import=${NEXT_RELEASE}` };
    const laptop = service.platform.from(workFolder, release);
    const run = async (...args: readonly string[]) => {
      const { exitCode, all } = await laptop.command(...args);
      assert.equal(exitCode, 0, all);
      return all;
    };
    assert.match(
      await run("restore", backup, "--identity", keyFile),
      /^Restored: 2 stacks, 1 project, /m,
    );
    assert.match(await run("audit", "verify"), /chain is intact/);
    await changesNothing(laptop, "--all");

    // The states still have the service that is gone.
    await run("refresh", PLATFORM, "--yes");
    await run("up", PLATFORM, "--yes");
    await service.giveCertificate();
    await service.isAvailable(2);
    await changesNothing(laptop, "--all");
    await changesNothing(laptop, PLATFORM);
    assert.match(await run("audit", "verify"), /chain is intact/);

    // The key of the sessions is the same.
    await until(() => person.get("/auth/me"));
    const { items } = page.parse(await person.get("/v1/projects"));
    assert.deepEqual(
      items.map(({ slug }) => slug),
      [PROJECT],
    );
    assert.deepEqual(await podsOfProject(), pods);
  });
});
