import assert from "node:assert/strict";
import {
  hasFieldsToTakeOver,
  keepIgnored,
  takeOver,
  wasCreatedByPlugin,
} from "../../../../sandbox/plugins/kubernetes/managed-fields.ts";
import type { Properties } from "../../../../sandbox/plugins/values.ts";

const OURS = "pulumi-kubernetes-0a1b2c3d";

const container = (fields: Properties): Properties => ({
  "f:spec": { "f:containers": { 'k:{"name":"app"}': { ".": {}, "f:name": {}, ...fields } } },
});

const entry = (manager: string, operation: string, fieldsV1: Properties): Properties => ({
  manager,
  operation,
  apiVersion: "v1",
  fieldsV1,
});

function live(image: string, ...managedFields: Properties[]): Properties {
  const containers = [
    { name: "sidecar", image: "proxy" },
    { name: "app", image },
  ];
  return { metadata: { name: "x", managedFields }, spec: { containers } };
}

const inputs = (image: string): Properties => ({
  metadata: { name: "x" },
  spec: { containers: [{ name: "app", image, env: [] }] },
});

describe("managed fields", () => {
  describe("under ignoreChanges", () => {
    it("are left out where only another manages them", () => {
      const object = live(
        "app:2",
        entry(OURS, "Apply", container({})),
        entry("woodpecker", "Update", container({ "f:image": {} })),
      );
      const kept = keepIgnored(inputs("app:1"), object, ["spec.containers[0].image"], OURS);
      assert.deepEqual(kept["spec"], { containers: [{ name: "app", env: [] }] });
    });

    it("keep the live value where they are ours, found by the item's name", () => {
      const object = live("app:2", entry(OURS, "Apply", container({ "f:image": {} })));
      for (const path of ["spec.containers[0].image", "spec.containers[*].image"]) {
        const kept = keepIgnored(inputs("app:1"), object, [path], OURS);
        assert.deepEqual(kept, inputs("app:2"));
      }
    });

    it("keep the program's value where the object has none", () => {
      const kept = keepIgnored(inputs("app:1"), live("app:2"), ["spec.absent.deep"], OURS);
      assert.deepEqual(kept, inputs("app:1"));
    });
  });

  describe("that are taken over", () => {
    it("are those of the creation and of kubectl, as one entry of ours", () => {
      const status = { ...entry("kubectl", "Update", {}), subresource: "status" };
      const other = entry("woodpecker", "Update", container({ "f:image": {} }));
      const object = live(
        "app:1",
        entry("pulumi-kubernetes", "Update", container({ "f:env": {} })),
        entry("kubectl-set", "Update", container({ "f:image": {} })),
        entry(OURS, "Apply", { "f:spec": { "f:replicas": {} } }),
        other,
        status,
      );
      assert.deepEqual(takeOver(object, OURS), [
        other,
        status,
        entry(OURS, "Apply", {
          "f:spec": {
            "f:containers": {
              'k:{"name":"app"}': { ".": {}, "f:name": {}, "f:env": {}, "f:image": {} },
            },
            "f:replicas": {},
          },
        }),
      ]);
    });

    it("are none where all is ours already", () => {
      const object = live("app:1", entry(OURS, "Apply", container({})));
      assert.equal(hasFieldsToTakeOver(object, OURS), false);
      assert.equal(takeOver(object, OURS), undefined);
    });

    it("count in a preview only where the plugin created the object, not where kubectl changed it", () => {
      const created = live("app:1", entry("pulumi-kubernetes", "Update", container({})));
      assert.equal(wasCreatedByPlugin(created), true);
      const changed = live(
        "app:1",
        entry(OURS, "Apply", container({})),
        entry("kubectl-edit", "Update", container({ "f:image": {} })),
      );
      assert.equal(hasFieldsToTakeOver(changed, OURS), true);
      assert.equal(wasCreatedByPlugin(changed), false);
    });
  });
});
