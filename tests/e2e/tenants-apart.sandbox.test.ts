import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  AppsV1Api,
  CoreV1Api,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
} from "@kubernetes/client-node";
import { ENVIRONMENT_LABEL } from "../../core/labels.ts";
import { until } from "../../sandbox/process.ts";
import { kubeConfig } from "../../sandbox/proofs/project.ts";
import { writeKubeconfig } from "../support/kubeconfig.ts";
import { rejected } from "../support/errors.ts";
import { rolledOut } from "../support/rolled-out.ts";
import { type Project, projects, succeeded, unchanged } from "../support/stage.ts";

const MERGE = setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch);

describe("a project's environment", function () {
  this.timeout(400_000);
  const project = projects();
  let one: Project;
  let core: CoreV1Api;

  before(async () => {
    one = await project();
    succeeded(await one.up());
    core = kubeConfig(one.place).makeApiClient(CoreV1Api);
  });

  it("is the only one that the project's pipeline can deploy to", async () => {
    const { slug } = one;
    const { data } = await core.readNamespacedSecret({ namespace: slug, name: "deploy-token" });
    const token = Buffer.from(data?.["token"] ?? "", "base64").toString();
    const config = new KubeConfig();
    config.loadFromFile(await writeKubeconfig({ token }));
    const deploy = (template: object) =>
      config
        .makeApiClient(AppsV1Api)
        .patchNamespacedDeployment(
          { namespace: slug, name: slug, body: { spec: { template } } },
          MERGE,
        );

    for (const value of [randomUUID(), await platformEnvironment(one), null]) {
      const metadata = { labels: { [ENVIRONMENT_LABEL]: value } };
      // Two policies refuse it. The API server names one of them.
      const policy = `must be ${one.stage().tenantId}|'deploy\\.staging\\.rdev\\.io'.* denied request`;
      await rejected(deploy({ metadata }), new RegExp(policy));
    }
    await deploy({ spec: { containers: [{ name: "app", image: "registry.invalid/built:1" }] } });

    const labels = { [ENVIRONMENT_LABEL]: randomUUID() };
    const relabelled = config
      .makeApiClient(CoreV1Api)
      .patchNamespace({ name: slug, body: { metadata: { labels } } }, MERGE);
    await rejected(relabelled, /cannot patch resource [\\"]+namespaces/);
  });

  it("is bound to the namespace of an older version by the next up, without an interruption", async () => {
    const { slug } = one;
    const namespaceOf = async () => (await core.readNamespace({ name: slug })).metadata?.labels;
    const labels = { [ENVIRONMENT_LABEL]: null };
    await core.patchNamespace({ name: slug, body: { metadata: { labels } } }, MERGE);
    await core.deleteCollectionNamespacedPod({ namespace: slug });
    await until(async () => {
      const { items } = await core.listNamespacedPod({ namespace: slug });
      const alive = items.filter(({ metadata }) => !metadata?.deletionTimestamp);
      assert.ok(alive.length > 0 && alive.every(({ status }) => status?.phase === "Running"));
    });
    await rolledOut(one.place);

    succeeded(await one.refresh());
    succeeded(await one.up());
    assert.equal((await namespaceOf())?.[ENVIRONMENT_LABEL], one.stage().tenantId);
    unchanged(await one.up());
  });
});

async function platformEnvironment({ place }: Project): Promise<string> {
  const found = await kubeConfig(place)
    .makeApiClient(AppsV1Api)
    .readNamespacedDeployment({ namespace: "rdev", name: "rdev-api" });
  return found.spec?.template.metadata?.labels?.[ENVIRONMENT_LABEL] ?? "";
}
