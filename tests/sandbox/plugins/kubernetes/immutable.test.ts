import assert from "node:assert/strict";
import { replacesOf } from "../../../../sandbox/plugins/kubernetes/immutable.ts";
import { parsePath } from "../../../../core/engine-values.ts";
import type { Properties } from "../../../../sandbox/plugins/values.ts";

const USUAL = { configMapMutable: false, secretMutable: false };

function replaces(apiVersion: string, kind: string, path: string, more: Properties = {}): boolean {
  return replacesOf({ apiVersion, kind, ...more }, false, USUAL)(parsePath(path));
}

describe("immutable fields", () => {
  it("replace every object at a new name or namespace, and no object at new labels", () => {
    assert.equal(replaces("v1", "Service", "metadata.name"), true);
    assert.equal(replaces("example.com/v1", "Thing", "metadata.namespace"), true);
    assert.equal(replaces("v1", "Service", "metadata.labels.app"), false);
  });

  const cases: [apiVersion: string, kind: string, immutable: string, mutable: string][] = [
    [
      "apps/v1",
      "Deployment",
      "spec.selector.matchLabels.app",
      "spec.template.spec.containers[0].image",
    ],
    ["apps/v1", "StatefulSet", "spec.volumeClaimTemplates[0].spec", "spec.replicas"],
    ["apps/v1", "StatefulSet", "spec.serviceName", "spec.template.metadata.labels.a"],
    ["apps/v1", "DaemonSet", "spec.selector", "spec.template.spec.tolerations"],
    ["batch/v1", "Job", "spec.template.spec.containers[0].image", "spec.backoffLimit"],
    ["v1", "Service", "spec.clusterIP", "spec.ports[0].port"],
    ["v1", "Secret", "type", "metadata.annotations.a"],
    ["v1", "PersistentVolumeClaim", "spec.storageClassName", "spec.resources.requests.storage"],
    ["v1", "Pod", "spec.containers[0].env", "spec.activeDeadlineSeconds"],
    ["rbac.authorization.k8s.io/v1", "RoleBinding", "roleRef.name", "subjects[0].name"],
    ["storage.k8s.io/v1", "StorageClass", "provisioner", "allowVolumeExpansion"],
  ];
  for (const [apiVersion, kind, immutable, mutable] of cases) {
    it(`of a ${kind} has ${immutable}, but not ${mutable}`, () => {
      assert.equal(replaces(apiVersion, kind, immutable), true);
      assert.equal(replaces(apiVersion, kind, mutable), false);
    });
  }

  it("have the data of ConfigMaps and Secrets, unless the provider is told otherwise", () => {
    for (const kind of ["ConfigMap", "Secret"]) {
      const mutable = { configMapMutable: true, secretMutable: true };
      const data = parsePath("data.key");
      const object = { apiVersion: "v1", kind };
      assert.equal(replacesOf(object, false, USUAL)(data), true);
      assert.equal(replacesOf(object, false, mutable)(data), false);
      assert.equal(replacesOf({ ...object, immutable: true }, false, mutable)(data), true);
    }
  });

  it("replace where the whole part that holds one changes", () => {
    assert.equal(replaces("apps/v1", "Deployment", "spec"), true);
    assert.equal(replaces("v1", "ConfigMap", "metadata"), false);
  });

  it("of a Patch resource are only those that say which object it patches", () => {
    const deployment = { apiVersion: "apps/v1", kind: "Deployment" };
    const patch = replacesOf(deployment, true, USUAL);
    assert.equal(patch(parsePath("spec.selector")), false);
    assert.equal(patch(parsePath("metadata.name")), true);
  });
});
