import assert from "node:assert/strict";
import { refusalOfFix } from "../../../automation/drift/check.ts";
import type { DriftFinding } from "../../../core/drift.ts";
import { changedShop, NOTHING } from "../../support/drift-finding.ts";

const UPDATE = changedShop("updates");

describe("a fix by the policy", () => {
  const refusal = (found: DriftFinding, planned: number) =>
    refusalOfFix("shop", "updates", found, planned);

  it("is done if the policy permits it, or if an up would change nothing", () => {
    assert.equal(refusal(UPDATE, 1), undefined);
    assert.equal(refusal(NOTHING, 0), undefined);
  });

  it("is refused if more than the drift would change, and names what differs", () => {
    const error = refusal({ ...UPDATE, fixableBy: "nothing" }, 2);
    assert.equal(error?.code, "RDEV_DRIFT");
    assert.match(error.message, /Deployment shop \(changed\)/);
  });

  it("is refused if the drift is gone and an up would bring another version of the program", () => {
    const error = refusal(NOTHING, 3);
    assert.equal(error?.code, "RDEV_DRIFT");
    assert.match(error.message, /an up would change 3 objects/);
  });
});
