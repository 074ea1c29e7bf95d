import assert from "node:assert/strict";
import { type Adoptable, adoptionRefusal } from "../../core/adoption.ts";

const object = (more: Partial<Adoptable>): Adoptable => ({
  system: "postgres",
  what: "role my_app",
  whose: "unmarked",
  changes: ["a new password"],
  problems: [],
  ...more,
});

describe("the refusal of an adoption", () => {
  it("does not exist for objects of nobody, of this stack, or marked for this project", () => {
    const all = (["unmarked", "ours", "retained"] as const).map((whose) => object({ whose }));
    assert.equal(adoptionRefusal("my-app", all), undefined);
    assert.equal(adoptionRefusal("my-app", []), undefined);
  });

  it("is RDEV_NOT_OURS for a mark of anybody else, also of an older version", () => {
    for (const whose of ["others", "before"] as const) {
      assert.equal(adoptionRefusal("my-app", [object({ whose })])?.code, "RDEV_NOT_OURS");
    }
  });

  it("names every reason of every object", () => {
    const refusal = adoptionRefusal("my-app", [
      object({ whose: "others" }),
      object({ what: "database my_app", problems: ["has no role.", "belongs to bob."] }),
      object({ system: "dns", what: "record x" }),
    ]);
    assert.deepEqual(refusal?.message.split("\n  - ").slice(1), [
      "The postgres role my_app carries the mark of another platform, project or stack. It is left untouched.",
      "The postgres database my_app has no role.",
      "The postgres database my_app belongs to bob.",
    ]);
    const onlyProblems = adoptionRefusal("my-app", [object({ problems: ["is a superuser"] })]);
    assert.equal(onlyProblems?.code, "RDEV_ADOPT");
  });
});
