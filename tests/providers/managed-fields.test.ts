import assert from "node:assert/strict";
import {
  foreignFields,
  managedFieldsOf,
  pathsIn,
  takenOver,
} from "../../providers/kubernetes/managed-fields.ts";

const spec = (fields: object) => ({ "f:spec": fields });
const entry = (manager: string, operation: string, fieldsV1: object, more: object = {}) => ({
  manager,
  operation,
  apiVersion: "apps/v1",
  fieldsType: "FieldsV1",
  time: "2026-11-26T10:00:00Z",
  fieldsV1,
  ...more,
});
const all = () => true;

describe("the managed fields of an object", () => {
  it("are listed as paths, with names for list items", () => {
    assert.deepEqual(
      pathsIn({
        "f:metadata": { "f:finalizers": { ".": {}, 'v:"example.test/held"': {} } },
        "f:spec": {
          "f:replicas": {},
          "f:containers": { 'k:{"name":"app"}': { ".": {}, "f:image": {} } },
        },
      }),
      ["metadata.finalizers[example.test/held]", "spec.replicas", "spec.containers[app].image"],
    );
  });

  it("are foreign if another manager than Pulumi holds a field of ours", () => {
    const records = managedFieldsOf([
      entry("pulumi-kubernetes-0a1b2c3d", "Apply", spec({ "f:replicas": {} })),
      entry("pulumi-kubernetes", "Update", spec({ "f:template": {} })),
      entry("kube-controller-manager", "Update", spec({ "f:x": {} }), { subresource: "status" }),
      entry("kubectl", "Update", spec({ "f:replicas": {} }), { subresource: "scale" }),
      entry("helm", "Apply", spec({ "f:paused": {}, "f:free": {} })),
    ]);
    const found = foreignFields(records, (path) => path !== "spec.free");
    assert.deepEqual(
      found.map(({ entry: { manager }, paths }) => [manager, paths]),
      [
        ["kubectl", ["spec.replicas"]],
        ["helm", ["spec.paused"]],
      ],
    );
  });

  it("move to Pulumi as one entry, and all others stay", () => {
    const status = entry("kubelet", "Update", { "f:status": {} }, { subresource: "status" });
    const records = managedFieldsOf([
      entry("pulumi-kubernetes", "Update", spec({ "f:template": { "f:a": {} } })),
      entry("kubectl", "Update", spec({ "f:replicas": {} }), { subresource: "scale" }),
      entry("helm", "Apply", spec({ "f:template": { "f:b": {} } })),
      status,
    ]);
    const after = takenOver(
      records,
      foreignFields(records, (path) => path.startsWith("spec.")),
    );
    assert.deepEqual(after, [
      status,
      entry(
        "pulumi-kubernetes",
        "Update",
        spec({ "f:template": { "f:a": {}, "f:b": {} }, "f:replicas": {} }),
        { subresource: "" },
      ),
    ]);
  });

  it("are unchanged if nothing is foreign", () => {
    const records = managedFieldsOf([entry("pulumi-kubernetes-0a1b2c3d", "Apply", spec({}))]);
    assert.deepEqual(takenOver(records, foreignFields(records, all)), records);
    assert.deepEqual(managedFieldsOf(undefined), []);
  });
});
