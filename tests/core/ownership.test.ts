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

/** Each way in which a system keeps a mark. */
const KEPT: Readonly<Record<string, (of: Owner) => Mark | undefined>> = {
  metadata: markOf,
  text: (of) => markIn(`Shop, by ada (${markText(of)})`),
  labels: (of) => markInLabels({ team: "payroll", ...markLabels(of) }),
};

describe("a mark", () => {
  for (const [where, kept] of Object.entries(KEPT)) {
    it(`as ${where} is ours only where platform, project and stack agree`, () => {
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

  it("of a version before is that of its own state only", () => {
    for (const kept of Object.values(KEPT)) {
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

  it("of what was retained is its project's on its platform, whichever the stack", () => {
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

  it("is none in a text of somebody else", () => {
    for (const text of ["", null, undefined, "managed by ada", "managed-by: helm, project: x"]) {
      assert.equal(ownershipOf(markIn(text), OWNER), "unmarked");
    }
    assert.equal(ownershipOf({ "managed-by": "helm", project: "my-app" }, OWNER), "unmarked");
  });
});
