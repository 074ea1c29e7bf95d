import assert from "node:assert/strict";
import { type LastStep, resourcesOf } from "../../core/resources.ts";

const at = new Date(0);

function last(
  name: string,
  changes: Partial<LastStep>,
  step: Partial<LastStep["step"]> = {},
): LastStep {
  return {
    operation: "01900000-0000-7000-8000-000000000001",
    kind: "up",
    isOpen: false,
    at,
    error: null,
    ...changes,
    step: {
      ...{ event: "resourceDone", urn: `urn:${name}`, type: "t", name, op: "same" },
      ...{ component: false, durationMs: 1 },
      ...step,
    },
  };
}

describe("a project's resources", () => {
  it("are listed with those that need attention first", () => {
    const resources = resourcesOf([
      last("a-kept", {}),
      last("b-made", {}, { op: "create" }),
      last("c-deleted", { kind: "destroy" }, { op: "delete" }),
      last("d-missing", { kind: "refresh" }, { op: "delete" }),
      last("e-differs", { kind: "refresh" }, { op: "update", changed: ["spec.replicas"] }),
      last("f-failed", { error: "no quota left" }, { event: "resourceFailed", op: "create" }),
      last("g-stopped", {}, { event: "resourceStarted", op: "create" }),
      last("h-working", { isOpen: true }, { event: "resourceStarted", op: "create" }),
      last("i-group", {}, { component: true }),
      last("j-replaced", {}, { op: "delete-replaced" }),
    ]);
    assert.deepEqual(
      resources.map(({ name, state }) => [name, state]),
      [
        ["f-failed", "failed"],
        ["g-stopped", "unfinished"],
        ["d-missing", "missing"],
        ["e-differs", "differs"],
        ["h-working", "working"],
        ["a-kept", "ok"],
        ["b-made", "ok"],
        ["j-replaced", "ok"],
      ],
    );
    assert.equal(resources[0]?.error, "no quota left");
    assert.deepEqual(resources[3]?.changed, ["spec.replicas"]);
  });
});
