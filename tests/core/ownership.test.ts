import assert from "node:assert/strict";
import fc from "fast-check";
import { markInLabels, markLabels } from "../../core/labels.ts";
import {
  markIn,
  markOf,
  markText,
  type Mark,
  type Owner,
  ownerBefore,
  type Ownership,
  ownershipOf,
  retainedMarkOf,
  retainedMarkText,
} from "../../core/ownership.ts";

const name = fc.stringMatching(/^[a-z][a-z0-9-]{1,38}[a-z0-9]$/);
const owner: fc.Arbitrary<Owner> = fc.record({
  platform: name,
  project: name,
  stack: fc.stringMatching(/^[0-9a-f]{16}$/),
});
const OWNER = { platform: "staging", project: "my-app", stack: "0123456789abcdef" };

/** The ways in which systems store a mark. */
const STORED: Readonly<Record<string, (whose: Owner) => Mark | undefined>> = {
  metadata: markOf,
  text: (whose) => markIn(`Shop, by ada (${markText(whose)})`),
  labels: (whose) => markInLabels({ team: "payroll", ...markLabels(whose) }),
};

describe("a mark", () => {
  for (const [where, kept] of Object.entries(STORED)) {
    it(`as ${where} is ours only if platform, project and stack match`, () => {
      fc.assert(
        fc.property(owner, owner, (one, other) => {
          assert.equal(ownershipOf(kept(one), one), "ours");
          for (const key of ["platform", "project", "stack"] as const) {
            if (one[key] === other[key]) continue;
            assert.equal(ownershipOf(kept({ ...one, [key]: other[key] }), one), "others");
          }
        }),
      );
    });
  }

  it("of an older version is ours only for a state of that version", () => {
    for (const kept of Object.values(STORED)) {
      const mark = kept(ownerBefore("my-app"));
      assert.equal(ownershipOf(mark, OWNER), "before");
      assert.equal(ownershipOf(mark, ownerBefore("my-app")), "ours");
      assert.equal(ownershipOf(mark, ownerBefore("other")), "others");
      assert.equal(ownershipOf(kept(OWNER), ownerBefore("my-app")), "others");
    }
    assert.deepEqual(markIn("managed-by: rdev-infra, project: my-app"), {
      "managed-by": "rdev-infra",
      project: "my-app",
    });
  });

  it("of a retained object belongs to its project on its platform, whatever the stack", () => {
    const marks = [retainedMarkOf(OWNER), markIn(retainedMarkText(OWNER))];
    for (const mark of marks) {
      const expected: [Partial<Owner>, Ownership][] = [
        [{}, "retained"],
        [{ stack: "f".repeat(16) }, "retained"],
        [{ platform: "prod" }, "others"],
        [{ project: "other" }, "others"],
      ];
      for (const [changes, ownership] of expected) {
        assert.equal(ownershipOf(mark, { ...OWNER, ...changes }), ownership);
      }
    }
  });

  it("is not found in other text", () => {
    for (const text of ["", null, undefined, "managed by ada", "managed-by: helm, project: x"]) {
      assert.equal(ownershipOf(markIn(text), OWNER), "unmarked");
    }
    assert.equal(ownershipOf({ "managed-by": "helm", project: "my-app" }, OWNER), "unmarked");
  });
});
