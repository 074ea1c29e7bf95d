import assert from "node:assert/strict";
import { parsePlatformConfig } from "../../core/settings.ts";
import { TENANT } from "../support/mocks.ts";
import { PLATFORM } from "../support/platform.ts";
import { CITADEL, run } from "../support/stacks.ts";

describe("the platform stack", () => {
  const config = {
    ...PLATFORM,
    workloads: JSON.stringify([
      { kind: "Deployment", namespace: "rdev", name: "rdev-api" },
      { kind: "StatefulSet", namespace: "rdev", name: "claudebox" },
    ]),
  };

  it("makes the log agent, the environment and both groups, and labels existing workloads", async () => {
    const { one, byType, result } = await run("staging", CITADEL, { config });
    assert.deepEqual(
      byType("citadel:Group").map(({ inputs }) => inputs["name"]),
      ["platform", "projects"],
    );
    assert.equal(one("citadel:Environment").inputs["slug"], "rdev-platform");
    one("kubernetes:apps/v1:DaemonSet");
    one("kubernetes:apps/v1:DeploymentPatch");
    one("kubernetes:apps/v1:StatefulSetPatch");
    assert.deepEqual(result, {
      settings: parsePlatformConfig(config),
      citadelTenantId: TENANT,
    });
  });

  it("gives the agent the key that only permits ingest", async () => {
    const { one, all } = await run("staging", CITADEL, { config });
    const secret = one("kubernetes:core/v1:Secret").inputs["stringData"] as Record<string, string>;
    assert.equal(secret["api-key"], "ck_planted_agent");
    assert.ok(!JSON.stringify(all).includes("ck_planted_admin"));
  });

  it("fails before anything is made if the agent would get the management key", async () => {
    const { CITADEL_AGENT_KEY: _, ...without } = CITADEL;
    const same = { ...CITADEL, CITADEL_AGENT_KEY: CITADEL.CITADEL_API_KEY };
    for (const variables of [without, same]) {
      await assert.rejects(
        run("staging", variables, { config }),
        /^Error: RDEV_CONNECTION: CITADEL_AGENT_KEY is .*"useManagementKey": true/,
      );
    }
  });

  it("fails before anything is made if the schedule of drift does not exist", async () => {
    const drift = JSON.stringify({ schedule: "0 25 * * *" });
    await assert.rejects(
      run("staging", CITADEL, { config: { ...config, drift } }),
      /RDEV_SETTINGS: The schedule "0 25 \* \* \*" in .* cannot be used/,
    );
  });

  it("gives the agent the management key if the setting allows it", async () => {
    const { CITADEL_AGENT_KEY: _, ...without } = CITADEL;
    const agent = JSON.stringify({ useManagementKey: true });
    const { one } = await run("staging", without, { config: { ...config, agent } });
    const secret = one("kubernetes:core/v1:Secret").inputs["stringData"] as Record<string, string>;
    assert.equal(secret["api-key"], "ck_planted_admin");
  });

  it("makes the policy for environments before the agent and the labels of existing workloads", async () => {
    const { all } = await run("staging", CITADEL, { config });
    const order = all.filter(({ custom }) => custom).map(({ type }) => type.split(":").at(-1));
    const last = order.lastIndexOf("ValidatingAdmissionPolicyBinding");
    assert.notEqual(last, -1);
    for (const later of ["DaemonSet", "DeploymentPatch", "StatefulSetPatch"]) {
      assert.ok(order.indexOf(later) > last, later);
    }
  });

  it("claims its names in the cluster before it makes anything but its id", async () => {
    const { all, one } = await run("staging", CITADEL, { config });
    const order = all.filter(({ custom }) => custom).map(({ type }) => type.split(":").at(-1));
    assert.deepEqual(order.slice(0, 2), ["RandomId", "ClusterClaim"]);
    const { inputs } = one("kubernetes:ClusterClaim");
    assert.equal(inputs["namespace"], "observability");
    assert.deepEqual(inputs["policies"], [
      "deploy.staging.rdev.io",
      "placement.staging.rdev.io",
      "pod-environment.rdev.io",
      "namespace-environment.rdev.io",
    ]);
    assert.deepEqual(inputs["clusterRoles"], ["rdev-infra:citadel-agent"]);
  });

  it("runs the agent in the namespace of the setting, with a NetworkPolicy", async () => {
    const named = { ...config, agentNamespace: "logs", prometheusNamespace: "metrics" };
    const { one } = await run("staging", CITADEL, { config: named });
    assert.equal(one("kubernetes:Namespace").inputs["name"], "logs");
    const { metadata, spec } = one("kubernetes:networking.k8s.io/v1:NetworkPolicy").inputs as {
      metadata: { namespace: string };
      spec: { ingress: unknown };
    };
    assert.equal(metadata.namespace, "logs");
    const prometheus = { matchLabels: { "kubernetes.io/metadata.name": "metrics" } };
    assert.deepEqual(spec.ingress, [
      {
        from: [{ podSelector: {} }, { namespaceSelector: prometheus }],
        ports: [{ protocol: "TCP", port: 2020 }],
      },
    ]);
  });

  it("gives the policies for the whole cluster the actions of the setting, and those for projects Deny", async () => {
    const policyActions = JSON.stringify(["Warn", "Audit"]);
    const { byType } = await run("staging", CITADEL, { config: { ...config, policyActions } });
    const actions = byType(
      "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding",
    ).map(({ name, inputs }) => [
      name,
      (inputs["spec"] as { validationActions: string[] }).validationActions,
    ]);
    assert.deepEqual(Object.fromEntries(actions), {
      "environment-policy-pods": ["Warn", "Audit"],
      "environment-policy-namespaces": ["Warn", "Audit"],
      "project-policy-deploy": ["Deny"],
      "project-policy-placement": ["Deny"],
    });
    for (const wrong of [[], ["Deny", "Warn"], ["Audit", "Audit"], ["Refuse"]]) {
      await assert.rejects(
        run("staging", CITADEL, { config: { ...config, policyActions: JSON.stringify(wrong) } }),
        /rdev:policyActions/,
      );
    }
  });

  it("makes no agent and needs no variables if Citadel is switched off", async () => {
    const { byType, one } = await run("staging", { CITADEL_ENABLED: "false" }, { config });
    assert.equal(byType("kubernetes:apps/v1:DaemonSet").length, 0);
    assert.equal(byType("rdev:components:EnvironmentPolicy").length, 0);
    // The limits of pipelines do not depend on Citadel.
    assert.equal(byType("rdev:components:ProjectPolicy").length, 1);
    assert.equal(one("citadel:Environment").inputs["enabled"], false);
  });

  it("registers the webhook for alerts if it is set, without its secret in an input", async () => {
    assert.equal((await run("staging", CITADEL, { config })).byType("citadel:Webhook").length, 0);
    const url = "https://alerts.example.test/citadel";
    const withWebhook = { config: { ...config, alertWebhook: JSON.stringify({ url }) } };
    const variables = { ...CITADEL, CITADEL_WEBHOOK_SECRET: "planted-webhook-secret" };
    const { one, all } = await run("staging", variables, withWebhook);
    assert.equal(one("citadel:Webhook").inputs["url"], url);
    assert.ok(!JSON.stringify(all).includes("planted-webhook-secret"));
    await assert.rejects(run("staging", CITADEL, withWebhook), /CITADEL_WEBHOOK_SECRET is missing/);
    const off = { CITADEL_ENABLED: "false" };
    assert.equal((await run("staging", off, withWebhook)).byType("citadel:Webhook").length, 0);
  });

  it("refuses an address for alerts that is not a URL", async () => {
    const alertWebhook = JSON.stringify({ url: "ftp://alerts.example.test" });
    await assert.rejects(
      run("staging", CITADEL, { config: { ...config, alertWebhook } }),
      /rdev:alertWebhook\.url: is not an http or https URL/,
    );
  });

  it("names every missing setting", async () => {
    await assert.rejects(
      run("staging", CITADEL, { config: { domain: "a.test" } }),
      (error: Error) =>
        ["RDEV_SETTINGS", "rdev:gitOrganization", "rdev:registry", "rdev:ingressAddress"].every(
          (word) => error.message.includes(word),
        ),
    );
  });
});
