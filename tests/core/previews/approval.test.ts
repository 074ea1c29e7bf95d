import assert from "node:assert/strict";
import fc from "fast-check";
import {
  approversOf,
  unfit,
  type Candidate,
  type Review,
} from "../../../core/previews/approval.ts";

const [COMMIT, OTHER] = ["a".repeat(40), "b".repeat(40)];
const PULL: Candidate = { isOpen: true, head: COMMIT, base: "main", author: "Mallory" };

const review = (more: Partial<Review> = {}): Review => ({
  id: 1,
  reviewer: "ada",
  isPerson: true,
  verdict: "approved",
  commit: COMMIT,
  isDismissed: false,
  isOfficial: true,
  ...more,
});
const approvers = (...reviews: Review[]) => approversOf(PULL, COMMIT, reviews, "ci-bot");

describe("an approval of a pull request", () => {
  it("counts only for the commit that was reviewed", () => {
    assert.deepEqual(approvers(review()), { possible: ["ada"], refused: [] });
    assert.deepEqual(approvers(review({ commit: OTHER })), {
      possible: [],
      refused: ["ada approved another commit (bbbbbbbbbb)"],
    });
    assert.deepEqual(approvers(review({ commit: undefined })).possible, []);
  });

  it("does not count if it is from the author, our own account, a machine, or somebody who may not write", () => {
    for (const [more, why] of [
      [{ reviewer: "mallory" }, "mallory is its author"],
      [{ reviewer: "CI-Bot" }, "CI-Bot is the account that runs this check"],
      [{ isPerson: false }, "ada is not a person"],
      [{ isOfficial: false }, "ada may not write to the repository"],
      [{ isDismissed: true }, "ada has a review that was dismissed"],
      [{ verdict: "rejected" }, "ada asks for changes"],
    ] satisfies [Partial<Review>, string][]) {
      assert.deepEqual(approvers(review(more)), { possible: [], refused: [why] });
    }
  });

  it("follows each reviewer's latest verdict and ignores later comments", () => {
    const rejected = review({ id: 2, verdict: "rejected" });
    const comment = review({ id: 3, verdict: "other", commit: OTHER });
    assert.deepEqual(approvers(comment, rejected, review()).possible, []);
    assert.deepEqual(approvers(review({ id: 4 }), comment, rejected).possible, ["ada"]);
    assert.deepEqual(approvers(review({ id: 4, reviewer: "ADA" }), rejected).possible, ["ADA"]);
  });

  it("only ever comes from a person whose latest verdict approved this commit", () => {
    const any = fc.record<Review>(
      {
        id: fc.nat(20),
        reviewer: fc.constantFrom("ada", "Mallory", "mallory", "ci-bot", undefined),
        isPerson: fc.boolean(),
        verdict: fc.constantFrom("approved", "rejected", "other"),
        commit: fc.constantFrom(COMMIT, OTHER, undefined),
        isDismissed: fc.boolean(),
        isOfficial: fc.boolean(),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.uniqueArray(any, { selector: ({ id }) => id }), (reviews) => {
        for (const name of approvers(...reviews).possible) {
          assert.equal(name, "ada");
          const theirs = reviews.filter(
            ({ reviewer, verdict }) => reviewer === "ada" && verdict !== "other",
          );
          const last = theirs.toSorted((a, b) => a.id - b.id).at(-1);
          assert.deepEqual(last, review({ id: last?.id ?? 0 }));
        }
      }),
    );
  });

  it("is impossible if the pull request is closed or its branch has moved", () => {
    assert.equal(unfit(PULL, COMMIT), undefined);
    assert.match(unfit({ ...PULL, isOpen: false }, COMMIT) ?? "", /is not open/);
    assert.match(unfit(PULL, OTHER) ?? "", /is at aaaaaaaaaa now, not at bbbbbbbbbb/);
  });
});
