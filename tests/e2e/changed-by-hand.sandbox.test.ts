import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppsV1Api, CoreV1Api, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { databaseName } from "../../core/slug.ts";
import { Gitea } from "../../providers/gitea/client.ts";
import { kubeConfig } from "../../sandbox/proofs/project.ts";
import { proveDns, proveGit, proveWoodpecker } from "../../sandbox/proofs/proofs.ts";
import { until } from "../../sandbox/process.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import { deleteRecord } from "../support/delete-record.ts";
import { rolledOut } from "../support/rolled-out.ts";
import { projects, succeeded, unchanged, type Project } from "../support/stage.ts";
import { variable } from "../support/variables.ts";

describe("a project that people change by hand", function () {
  this.timeout(400_000);
  const project = projects();
  let one: Project;

  before(async () => {
    one = await project();
    succeeded(await one.up());
  });

  // Runs after the hook that destroys the suite's projects.
  after(async () => assert.deepEqual(await one.onServers(), []));

  it("keeps the image that CI set, also when other settings change", async () => {
    const image = "registry.example.test/built:42";
    await setImage(one, image);
    await rolledOut(one.place);
    const set = await running(one);
    succeeded(await one.up());
    assert.deepEqual(await running(one), { ...set, image, replicas: 1 });
    unchanged(await one.preview());

    succeeded(await one.up({ config: { sizes: { replicas: 2 } } }));
    const scaled = await running(one);
    assert.deepEqual([scaled.image, scaled.replicas], [image, 2]);
    await setImage(one, "registry.example.test/built:43");
    await rolledOut(one.place);
    succeeded(await one.refresh());
    succeeded(await one.up({ config: { sizes: { replicas: 1 } } }));
    assert.equal((await running(one)).image, "registry.example.test/built:43");
    unchanged(await one.preview());
  });

  it("warns of an image of CI that does not come up, and does not wait for it", async () => {
    const image = "registry.example.test/broken:44";
    await setImage(one, image);
    const pod = await crash(one, image);
    const started = performance.now();
    const broken = succeeded(await one.up({ config: { sizes: { replicas: 1 } } }));
    assert.ok(performance.now() - started < 60_000, "the plugin waits 10 minutes by default");
    const warned = broken.events.map((event) => JSON.stringify(event)).join("\n");
    assert.match(warned, new RegExp(`broken:44, which CI set: pod ${pod}: .*exit code 1`));

    const image2 = "registry.example.test/mended:45";
    await setImage(one, image2);
    await rolledOut(one.place);
    const mended = succeeded(await one.up());
    assert.doesNotMatch(JSON.stringify(mended.events), /does not come up/);
    assert.equal((await running(one)).image, image2);
    unchanged(await one.preview());
  });

  it("shows deleted and changed objects in a refresh, and up repairs them", async () => {
    await deleteRecord(one.place);
    const role = databaseName(one.slug);
    await sql(`ALTER ROLE ${role} CONNECTION LIMIT 3`);
    await assert.rejects(proveDns(one.stage()), /ENOTFOUND/);

    const { changes } = succeeded(await one.refresh());
    assert.deepEqual([changes.update, changes.delete], [1, 1]);
    const mended = succeeded(await one.up());
    assert.deepEqual([mended.changes.create, mended.changes.update], [1, 1]);

    await proveDns(one.stage());
    const limit = await sql(`SELECT rolconnlimit FROM pg_roles WHERE rolname = '${role}'`);
    assert.deepEqual(limit, [{ rolconnlimit: 20 }]);
    unchanged(await one.refresh());
  });

  it("gets a new repository, seeded, built and active in CI, if it was deleted by hand", async () => {
    const { slug, place } = one;
    const gitea = new Gitea();
    const before = await gitea.repository(place.organization, slug);
    await gitea.deleteRepository(place.organization, slug);

    succeeded(await one.refresh());
    succeeded(await one.up());
    const stage = one.stage();
    await Promise.all([proveGit(stage), proveWoodpecker(stage)]);
    assert.notEqual((await gitea.repository(place.organization, slug))?.id, before?.id);
    unchanged(await one.preview());
  });

  it("is not seeded again if only its name changes", async () => {
    const file = join(one.workDir, `Pulumi.${one.stack}.yaml`);
    await writeFile(file, (await readFile(file, "utf8")).replace(one.name, "Another name"));
    const previewed = succeeded(await one.preview());
    assert.equal(previewed.changes.replace, 0, JSON.stringify(previewed.events, undefined, 1));
    const { changes } = succeeded(await one.up({ config: { name: "Another name" } }));
    assert.equal(changes.replace, 0);
  });
});

const apps = ({ place }: Project) => kubeConfig(place).makeApiClient(AppsV1Api);

/** Does the same as `kubectl set image`, which a pipeline runs. */
async function setImage(project: Project, image: string): Promise<void> {
  const { slug } = project;
  await apps(project).patchNamespacedDeployment(
    {
      namespace: slug,
      name: slug,
      body: { spec: { template: { spec: { containers: [{ name: "app", image }] } } } },
      fieldManager: "kubectl-set",
    },
    setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
  );
}

async function running(project: Project) {
  const { slug } = project;
  const found = await apps(project).readNamespacedDeployment({ namespace: slug, name: slug });
  return {
    image: found.spec?.template.spec?.containers[0]?.image,
    replicas: found.spec?.replicas,
    /** Kubernetes raises it with every change of the spec. */
    generation: found.metadata?.generation,
  };
}

/**
 * Makes the pod with this image look like one whose process ends again and again, and returns its name.
 * kwok, which plays the kubelet, changes only pods that are still pending.
 */
async function crash(project: Project, image: string): Promise<string> {
  const { slug, place } = project;
  const core = kubeConfig(place).makeApiClient(CoreV1Api);
  let crashed = "";
  await until(async () => {
    const { items } = await core.listNamespacedPod({ namespace: slug });
    const pod = items.find(({ spec }) => spec?.containers[0]?.image === image);
    const name = pod?.metadata?.name;
    if (name === undefined || pod?.status?.phase !== "Running") throw new Error("not running yet");
    const waiting = { reason: "CrashLoopBackOff", message: "back-off 10s restarting" };
    const terminated = { reason: "Error", exitCode: 1 };
    const containerStatuses = [
      {
        ...pod.status.containerStatuses?.[0],
        ready: false,
        restartCount: 3,
        state: { waiting },
        lastState: { terminated },
      },
    ];
    const conditions = ["Ready", "ContainersReady"].map((type) => ({ type, status: "False" }));
    await core.patchNamespacedPodStatus(
      { namespace: slug, name, body: { status: { containerStatuses, conditions } } },
      setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
    );
    crashed = name;
  });
  return crashed;
}

function sql(statement: string): Promise<unknown[]> {
  return queryOnce(variable("POSTGRES_ADMIN_URL"), statement);
}
