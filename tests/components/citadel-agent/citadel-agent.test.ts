import assert from "node:assert/strict";
import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import {
  CitadelAgent,
  type CitadelAgentArgs,
} from "../../../components/citadel-agent/citadel-agent.ts";
import { parsePlatformConfig } from "../../../core/settings.ts";
import { record, TENANT, type Recording } from "../../support/mocks.ts";
import { PLATFORM } from "../../support/platform.ts";
import { testOwner } from "../../support/owner.ts";

type Unwrapped<T> = pulumi.UnwrappedObject<T>;

const ARGS: CitadelAgentArgs = {
  platform: "staging",
  owner: testOwner("staging"),
  namespace: "observability",
  image: "agent:1",
  settings: parsePlatformConfig(PLATFORM).agent,
  citadelUrl: "https://citadel.test:8443/base",
  apiKey: "ck_planted",
  tenantId: TENANT,
};

const make = (args: Partial<CitadelAgentArgs> = {}) =>
  record(() => new CitadelAgent("agent", { ...ARGS, ...args }).namespace);

const daemonSet = ({ one }: Recording) =>
  one("kubernetes:apps/v1:DaemonSet").inputs[
    "spec"
  ] as Unwrapped<k8s.types.input.apps.v1.DaemonSetSpec>;

async function pod(args: Partial<CitadelAgentArgs> = {}) {
  const { metadata, spec } = daemonSet(await make(args)).template;
  assert.ok(metadata && spec);
  const [container] = spec.containers;
  assert.ok(container && spec.containers.length === 1);
  return { metadata, spec, container };
}

describe("CitadelAgent", () => {
  it("has a Secret with exactly the keys api-key and tenant-id", async () => {
    const { one } = await make();
    const secret = one("kubernetes:core/v1:Secret");
    assert.deepEqual(secret.inputs["stringData"], { "api-key": "ck_planted", "tenant-id": TENANT });
    assert.ok(secret.secrets.includes("stringData"));
    const { name, namespace } = secret.inputs["metadata"] as Record<string, string>;
    assert.deepEqual([name, namespace], ["citadel-agent", "observability"]);
  });

  it("has its key only in its Secret", async () => {
    const { all } = await make();
    for (const { type, inputs } of all) {
      if (type === "kubernetes:core/v1:Secret") continue;
      assert.ok(!JSON.stringify(inputs).includes("ck_planted"), type);
    }
  });

  it("may only get pods and namespaces, with a cluster role of rdev-infra", async () => {
    const { one } = await make();
    const role = one("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole");
    assert.deepEqual(role.inputs["rules"], [
      { apiGroups: [""], resources: ["pods", "namespaces"], verbs: ["get"] },
    ]);
    const binding = one("kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding").inputs;
    for (const { metadata } of [role.inputs, binding] as { metadata: { name: string } }[]) {
      assert.equal(metadata.name, "rdev-infra:citadel-agent");
    }
    assert.deepEqual(binding["subjects"], [
      { kind: "ServiceAccount", name: "citadel-agent", namespace: "observability" },
    ]);
  });

  it("gives a token only to its own pod", async () => {
    const recording = await make();
    const account = recording.one("kubernetes:core/v1:ServiceAccount");
    assert.equal(account.inputs["automountServiceAccountToken"], false);
    const { spec } = daemonSet(recording).template;
    assert.equal(spec?.automountServiceAccountToken, true);
    assert.equal(spec.serviceAccountName, "citadel-agent");
  });

  it("runs on every node, whatever its taints, and is evicted last", async () => {
    const { spec } = await pod();
    assert.deepEqual(spec.tolerations, [{ operator: "Exists" }]);
    assert.equal(spec.nodeSelector, undefined);
    assert.equal(spec.priorityClassName, "system-node-critical");
  });

  it("has no privilege except to read root's files", async () => {
    const { spec, container } = await pod();
    assert.deepEqual(container.securityContext, {
      runAsUser: 0,
      runAsGroup: 0,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    assert.deepEqual(spec.securityContext, { seccompProfile: { type: "RuntimeDefault" } });
    for (const shared of ["hostNetwork", "hostPID", "hostIPC"] as const) {
      assert.ok(!spec[shared], shared);
    }
    for (const { hostPort } of container.ports ?? []) assert.equal(hostPort, undefined);
  });

  it("writes only into its own folder on the node", async () => {
    const { spec, container } = await pod();
    const hostPaths = (spec.volumes ?? []).flatMap(({ name, hostPath }) =>
      hostPath ? [[name, hostPath.path]] : [],
    );
    assert.deepEqual(hostPaths, [
      ["logs", "/var/log"],
      ["state", "/var/lib/citadel-agent"],
    ]);
    const writable = container.volumeMounts?.filter(({ readOnly }) => !readOnly);
    assert.deepEqual(writable, [{ name: "state", mountPath: "/var/lib/citadel-agent" }]);
  });

  it("has the limits of the settings", async () => {
    const settings = { ...ARGS.settings, cpuLimit: "2", memoryLimit: "512Mi" };
    const { container } = await pod({ settings });
    assert.deepEqual(container.resources, {
      requests: { cpu: "50m", memory: "64Mi" },
      limits: { cpu: "2", memory: "512Mi" },
    });
  });

  it("runs the image and the arguments of the settings", async () => {
    const settings = { ...ARGS.settings, args: ["--files", "/etc/citadel-agent"] };
    const { container } = await pod({ image: "partner/citadel-agent:7", settings });
    assert.equal(container.image, "partner/citadel-agent:7");
    assert.deepEqual(container.args, ["--files", "/etc/citadel-agent"]);
  });

  it("starts with a file of its ConfigMap", async () => {
    const recording = await make();
    const data = recording.one("kubernetes:core/v1:ConfigMap").inputs["data"] as object;
    const [container] = daemonSet(recording).template.spec?.containers ?? [];
    const folder = container?.volumeMounts?.find(({ name }) => name === "config")?.mountPath ?? "";
    const path = container?.args?.[0]?.replace("--config=", "") ?? "";
    assert.ok(path.startsWith(`${folder}/`), path);
    assert.ok(path.slice(folder.length + 1) in data, path);
  });

  it("gets its key, the platform's environment and its node as variables", async () => {
    const { container } = await pod();
    const fromSecret = (key: string) => ({ secretKeyRef: { name: "citadel-agent", key } });
    assert.deepEqual(container.env, [
      { name: "CITADEL_API_KEY", valueFrom: fromSecret("api-key") },
      { name: "CITADEL_TENANT_ID", valueFrom: fromSecret("tenant-id") },
      { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
    ]);
  });

  it("has probes that do not depend on Citadel", async () => {
    const { container } = await pod();
    const { startupProbe, livenessProbe, readinessProbe } = container;
    for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
      assert.deepEqual(probe?.httpGet, { path: "/", port: "metrics" });
    }
    assert.deepEqual(container.ports, [{ name: "metrics", containerPort: 2020 }]);
  });

  it("has minutes for its start, because without DNS its port opens late", async () => {
    const { startupProbe } = (await pod()).container;
    assert.ok((startupProbe?.periodSeconds ?? 0) * (startupProbe?.failureThreshold ?? 0) >= 180);
  });

  it("has the annotations for Prometheus", async () => {
    const { annotations } = (await pod()).metadata;
    assert.equal(annotations?.["prometheus.io/scrape"], "true");
    assert.equal(annotations["prometheus.io/port"], "2020");
    assert.equal(annotations["prometheus.io/path"], "/api/v2/metrics/prometheus");
  });

  it("has a grace period longer than it takes to send its chunks", async () => {
    const recording = await make();
    const data = recording.one("kubernetes:core/v1:ConfigMap").inputs["data"] as Record<
      string,
      string
    >;
    const { service } = parse(data["fluent-bit.yaml"] ?? "") as { service: { grace: number } };
    const { spec } = daemonSet(recording).template;
    assert.ok(service.grace > 0 && (spec?.terminationGracePeriodSeconds ?? 0) > service.grace);
  });

  it("is updated on a quarter of the nodes at a time", async () => {
    assert.deepEqual(daemonSet(await make()).updateStrategy, {
      type: "RollingUpdate",
      rollingUpdate: { maxUnavailable: "25%" },
    });
  });

  it("restarts only when its key, its environment or its configuration changes", async () => {
    const mark = async (args: Partial<CitadelAgentArgs> = {}) => {
      const recording = await make(args);
      assert.deepEqual(recording.one("kubernetes:apps/v1:DaemonSet").secrets, []);
      const found = daemonSet(recording).template.metadata?.annotations?.["rdev.io/configuration"];
      assert.match(found ?? "", /^[0-9a-f]{24}$/);
      return found;
    };
    const first = await mark();
    assert.equal(await mark(), first);
    const changes = [
      { apiKey: "ck_other" },
      { tenantId: "0b1c2d3e-3a54-4f0e-9d3a-0a2f6a1c9b22" },
      { citadelUrl: "https://elsewhere.test" },
      { settings: { ...ARGS.settings, bufferMiB: 2048 } },
    ];
    const marks = [first];
    for (const change of changes) marks.push(await mark(change));
    assert.equal(new Set(marks).size, marks.length);
  });
});
