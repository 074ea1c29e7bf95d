import assert from "node:assert/strict";
import { CoreV1Api } from "@kubernetes/client-node";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { z } from "zod";
import { checkBackup } from "../../automation/backup/restore.ts";
import { sdkVersion } from "../../automation/engine/versions.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { until } from "../../sandbox/process.ts";
import { InstalledService } from "../support/installed-service.ts";
import { skipWithoutNode } from "../support/node.ts";
import { askProber, createProber, PROBER_PORT } from "../support/prober.ts";

const operation = z.object({ state: z.string(), attempts: z.number() });
const plugins = z.array(z.object({ name: z.string(), version: z.string() }));

const PROJECT = "my-project";

describe("the service that the platform's stack installs on a real node", function () {
  this.timeout(400_000);
  let service: InstalledService;
  let backupKey: string;

  before(async function () {
    await skipWithoutNode(this);
    backupKey = await generateIdentity();
    service = await InstalledService.start(await identityToRecipient(backupKey));
  });
  after(() => service?.platform.sandbox.stop());

  it("runs twice, after its migration, and a further up would change nothing", async () => {
    await service.isAvailable(2);
    const migration = (await service.jobs()).find(({ metadata }) =>
      metadata?.name?.startsWith("rdev-infra-migrate-"),
    );
    assert.equal(migration?.status?.succeeded, 1);
    const preview = await service.platform.command("preview", PLATFORM, "--expect-no-changes");
    assert.equal(preview.exitCode, 0, preview.all);
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

  it("answers the ingress, and no other pod", async () => {
    const { cluster, settings } = service.platform;
    const core = cluster.makeApiClient(CoreV1Api);
    const outside = "outside";
    await core.createNamespace({ body: { metadata: { name: outside } } });
    await until(() => core.readNamespacedServiceAccount({ namespace: outside, name: "default" }));
    const ask = (namespace: string, path: string) =>
      askProber(cluster, { namespace, prober: `pods/prober:${PROBER_PORT}` }, path, {
        url: `${service.url}/readyz`,
      });
    for (const namespace of [outside, settings.ingressNamespace]) {
      await createProber(cluster, namespace, "prober");
      await until(() => ask(namespace, "/"));
    }
    await until(async () => {
      assert.equal(await ask(settings.ingressNamespace, "/fetch"), '{"status":"ok"}');
    });
    await assert.rejects(ask(outside, "/fetch"), /refused/);
  });

  it("completes an operation once, although the replica that works on it is killed", async () => {
    const created = service.command("projects", "create", "My Project");
    let output = "";
    created.all?.on("data", (data) => (output += String(data)));
    await until(() => assert.match(output, /created gitea:Repository/));
    await service.kill(await service.podThatWorksOn(PROJECT));
    const { exitCode } = await created;
    assert.equal(exitCode, 0, output);
    assert.match(output, /firstBuild +#1\n/);

    const { stdout } = await service.command("operations", "list", "--json");
    const { state, attempts } = operation.parse(JSON.parse(stdout));
    assert.deepEqual([state, attempts], ["succeeded", 2]);
    const stack = `${PLATFORM}.${PROJECT}`;
    const preview = await service.platform.command("preview", stack, "--expect-no-changes");
    assert.equal(preview.exitCode, 0, preview.all);
    await service.isAvailable(2);
  });

  it("backs up to its volume, for who has the key", async () => {
    const [file = "", ...others] = await service.backUp();
    assert.deepEqual(others, []);
    const { stacks } = await checkBackup(file, [backupKey]);
    assert.ok(stacks.has(PLATFORM));
  });
});
