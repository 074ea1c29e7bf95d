import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Candidate,
  planWaves,
  selectSlugs,
  unmatched,
  existing,
} from "../../../automation/rollouts/waves.ts";

const slugs = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9]{2,9}$/), {
  minLength: 1,
  maxLength: 60,
});
const size = fc.oneof(
  fc.integer({ min: 1, max: 70 }).map(String),
  fc.integer({ min: 1, max: 100 }).map((percent) => `${percent}%`),
  fc.constant("rest"),
);
const waves = fc.array(size, { minLength: 1, maxLength: 6 });

describe("the waves of a rollout", () => {
  it("by default are one project, a tenth of them, and the rest", () => {
    const all = Array.from({ length: 41 }, (_, n) => `app-${n}`);
    const planned = planWaves(all, { waves: ["1", "10%", "rest"], canaries: [] });
    assert.deepEqual(
      planned.map(({ length }) => length),
      [1, 5, 35],
    );
    assert.deepEqual(planned.flat(), all);
  });

  it("begin with the canaries, all of them in the first wave", () => {
    const plan = { waves: ["1", "rest"], canaries: ["shop-*", "blog"] };
    assert.deepEqual(planWaves(["app", "blog", "shop-a", "shop-b", "wiki"], plan), [
      ["blog", "shop-a", "shop-b"],
      ["app", "wiki"],
    ]);
  });

  it("have every project once, none is empty, and none is larger than asked except for canaries", () => {
    fc.assert(
      fc.property(slugs, waves, fc.nat(5), (all, sizes, many) => {
        const canaries = all.slice(-many);
        const planned = planWaves(all, { waves: sizes, canaries });
        assert.deepEqual(planned.flat().toSorted(), all.toSorted());
        assert.ok(planned.every(({ length }) => length > 0));
        assert.ok(canaries.every((slug) => planned[0]?.includes(slug)));
        for (const [index, size] of sizes.entries()) {
          if (size === "rest") break;
          const most = size.endsWith("%")
            ? Math.ceil((all.length * Number.parseInt(size, 10)) / 100)
            : Number(size);
          const least = index === 0 ? canaries.length : 0;
          assert.ok((planned[index]?.length ?? 0) <= Math.max(most, least));
        }
      }),
    );
  });
});

describe("the selection of a rollout", () => {
  const candidate = (slug: string, more: Partial<Candidate> = {}): Candidate => ({
    slug,
    status: "ready",
    template: "skeleton",
    labels: {},
    outdated: true,
    ...more,
  });

  it("leaves out what is deleted, at this version, of another template or without the labels", () => {
    const all = [
      candidate("wiki"),
      candidate("app"),
      candidate("new", { outdated: false }),
      candidate("gone", { status: "deleted" }),
      candidate("going", { status: "deleting" }),
      candidate("half", { status: "half-deleted" }),
      candidate("broken", { status: "incomplete" }),
      candidate("other", { template: "api", labels: { team: "shop", tier: "1" } }),
    ];
    const names = (more: object) => selectSlugs({ only: "outdated", ...more }, all);
    assert.deepEqual(names({}), ["app", "broken", "other", "wiki"]);
    assert.deepEqual(names({ template: "api" }), ["other"]);
    assert.deepEqual(names({ labels: { team: "shop" } }), ["other"]);
    assert.deepEqual(names({ labels: { team: "shop", tier: "2" } }), []);
    assert.deepEqual(names({ labels: { constructor: "shop" } }), []);
    assert.deepEqual(names({ only: "all", slugs: ["n*", "*i"] }), ["new", "wiki"]);
    assert.deepEqual(names({ slugs: ["gone"] }), []);
    assert.deepEqual(
      existing(all).map(({ slug }) => slug),
      ["wiki", "app", "new", "broken", "other"],
    );
    assert.deepEqual(unmatched(["w*", "x*"], ["wiki"]), ["x*"]);
  });

  it("matches patterns like a shell, whatever the number of stars", () => {
    const text = fc.stringMatching(/^[ab-]{0,12}$/);
    const pattern = fc.stringMatching(/^[ab*-]{1,8}$/);
    fc.assert(
      fc.property(text, pattern, (slug, glob) => {
        const expected = new RegExp(`^${glob.replaceAll(/\*+/g, ".*")}$`).test(slug);
        assert.equal(unmatched([glob], [slug]).length === 0, expected);
      }),
    );
    const slow = `${"a*".repeat(39)}b`;
    assert.equal(unmatched([slow], ["a".repeat(40)]).length, 1);
  });
});
