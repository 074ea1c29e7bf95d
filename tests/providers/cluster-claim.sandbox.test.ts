import assert from "node:assert/strict";
import { KubeConfig, type KubernetesObject, KubernetesObjectApi } from "@kubernetes/client-node";
import { markLabels, ownershipLabels } from "../../core/labels.ts";
import { provider } from "../../providers/kubernetes/cluster-claim.ts";
import { UNKNOWN } from "../../providers/dynamic/provider.ts";
import { fails } from "../support/errors.ts";
import { testOwner } from "../support/owner.ts";
import { uniqueSlug } from "../support/unique-slug.ts";

type Props = Record<string, unknown>;

describe("kubernetes:ClusterClaim", function () {
  this.timeout(400_000);
  const made: KubernetesObject[] = [];
  let objects: KubernetesObjectApi;
  let platform: string;

  before(() => {
    const config = new KubeConfig();
    config.loadFromDefault();
    objects = KubernetesObjectApi.makeApiClient(config);
  });

  beforeEach(() => {
    platform = uniqueSlug();
  });

  afterEach(async () => {
    for (const object of made.splice(0)) await objects.delete(object);
  });

  const inputs = (more: Props = {}): Props => ({
    platform,
    owner: { ...testOwner(platform), platform },
    namespace: platform,
    policies: [`${platform}.rdev.io`],
    clusterRoles: [`rdev-infra:${platform}`],
    leading: `${platform}.rdev.io`,
    ...more,
  });

  const make = async (
    { name, ...object }: { apiVersion: string; kind: string; name: string } & Props,
    labels: Record<string, string> = {},
  ) => {
    made.push(await objects.create({ ...object, metadata: { name, labels } }));
  };
  const namespace = (labels?: Record<string, string>) =>
    make({ apiVersion: "v1", kind: "Namespace", name: platform }, labels);
  const policies = "admissionregistration.k8s.io/v1";
  const binding = (labels: Record<string, string>, validationActions: string[]) =>
    make(
      {
        apiVersion: policies,
        kind: "ValidatingAdmissionPolicyBinding",
        name: `${platform}.rdev.io`,
        spec: { policyName: "none.example.test", validationActions },
      },
      labels,
    );

  const refusal = (more: Props = {}) =>
    fails(provider.check(undefined, inputs(more)), "RDEV_NOT_OURS");

  it("starts with warnings in a cluster without policies", async () => {
    const { inputs: found, failures } = await provider.check(undefined, inputs());
    assert.deepEqual(failures, []);
    assert.deepEqual(found["actions"], ["Warn", "Audit"]);
  });

  it("keeps policies that deny, unless the settings say otherwise", async () => {
    await binding(markLabels({ ...testOwner(platform), platform }), ["Deny"]);
    const kept = await provider.check(undefined, inputs());
    assert.deepEqual(kept.inputs["actions"], ["Deny"]);
    const told = await provider.check(undefined, inputs({ wanted: ["Warn", "Audit"] }));
    assert.deepEqual(told.inputs["actions"], ["Warn", "Audit"]);
  });

  it("ignores its own objects, also those of an earlier version", async () => {
    await namespace(markLabels({ ...testOwner(platform), platform }));
    await binding(ownershipLabels(platform), ["Deny"]);
    const { inputs: found } = await provider.check(undefined, inputs());
    assert.deepEqual(found["actions"], ["Deny"]);
  });

  it("names every object of others in one error, before anything is created", async () => {
    await namespace();
    await binding(markLabels(testOwner("prod")), ["Deny"]);
    await make(
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        name: `rdev-infra:${platform}`,
        rules: [],
      },
      markLabels({ ...testOwner(platform), platform, stack: "0000000000000000" }),
    );
    const { message } = await refusal();
    for (const part of [
      `the Namespace ${platform} (unmarked)`,
      `the ValidatingAdmissionPolicyBinding ${platform}.rdev.io (others of prod)`,
      `the ClusterRole rdev-infra:${platform} (others of ${platform})`,
      "nothing is made",
      "rdev:agentNamespace",
    ]) {
      assert.ok(message.includes(part), message);
    }
  });

  it("refuses further namespaces of others", async () => {
    await namespace();
    const { message } = await refusal({ namespace: undefined, namespaces: [platform] });
    assert.ok(message.includes(`the Namespace ${platform} (unmarked)`), message);
  });

  it("reads which kinds the cluster has, if the program asks", async () => {
    const kinds = ["apps/v1/Deployment", "apps/v1/Nothing", "example.test/v1/Nothing"];
    const asked = await provider.check(undefined, inputs({ kinds }));
    assert.deepEqual(asked.inputs["served"], ["apps/v1/Deployment"]);
    const { inputs: found } = await provider.check(undefined, inputs());
    assert.ok(!("served" in found));
  });

  it("refuses also in the preview of a new stack, whose id is unknown", async () => {
    await namespace(markLabels({ ...testOwner(platform), platform }));
    await refusal({ owner: UNKNOWN });
  });
});
