import assert from "node:assert/strict";
import fc from "fast-check";
import { groupStacks, type Groups } from "../../../core/previews/group.ts";
import type { StackPreview } from "../../../core/previews/model.ts";
import { anyStacks } from "./any.ts";

function preview(
  slug: string,
  change: Partial<StackPreview["changes"][number]> = {},
): StackPreview {
  const urn = `urn:pulumi:staging.${slug}::rdev::kubernetes:core/v1:ConfigMap::${slug}`;
  const property = {
    path: `data.${slug}`,
    kind: "update",
    replaces: false,
    old: "/app",
    new: `/${slug}`,
  };
  return {
    stack: `staging.${slug}`,
    result: "succeeded",
    durationMs: 0,
    unchanged: 0,
    findings: [],
    errors: [],
    changes: [
      {
        op: "update",
        urn,
        type: "kubernetes:core/v1:ConfigMap",
        name: slug,
        properties: [property as StackPreview["changes"][number]["properties"][number]],
        moreProperties: 0,
        ...change,
      },
    ],
  };
}

const stacksOf = (groups: Groups) =>
  [...groups.severe, ...groups.failed, ...groups.changed].map(({ stacks }) => stacks);

describe("groupStacks", () => {
  it("groups changes that differ only by the slug or the database name", () => {
    const database = (slug: string, name: string) =>
      preview(slug, { properties: [{ path: "name", kind: "add", replaces: false, new: name }] });
    const groups = groupStacks({
      stacks: [database("my-shop", "my_shop"), database("blog", "blog"), database("news", "other")],
    });
    assert.deepEqual(stacksOf(groups), [["staging.blog", "staging.my-shop"], ["staging.news"]]);
    assert.equal(groups.changed[0]?.changes[0]?.properties[0]?.new, "<slug>");
    assert.equal(groups.changed[1]?.changes[0]?.name, "news");
  });

  it("groups correctly when a slug is also a word in the changes or in the report", () => {
    const words = ["app", "update", "name", "new", "shop"];
    const same = (slug: string) =>
      preview(slug, { name: "agent", properties: [], urn: "urn:pulumi:x::rdev::t::agent" });
    const groups = groupStacks({ stacks: words.map(same) });
    assert.equal(groups.changed.length, 1);
    assert.equal(groups.changed[0]?.changes[0]?.op, "update");
    const own = groupStacks({ stacks: words.map((slug) => preview(slug)) });
    assert.deepEqual(
      own.changed.map(({ stacks }) => stacks.length),
      [4, 1],
    ); // "/app" is app's slug
  });

  it("puts blocking groups first, then destructive ones, and keeps outliers apart", () => {
    const gone = preview("gone", { op: "delete" });
    const blocked = preview("blocked");
    const finding = { rule: "plain-secret", urn: "u", message: "m", blocks: true };
    const groups = groupStacks({
      stacks: [
        preview("a"),
        gone,
        { ...blocked, findings: [finding] },
        preview("b"),
        preview("c", { op: "create" }),
      ],
    });
    assert.deepEqual(
      groups.severe.map(({ stacks }) => stacks),
      [["staging.blocked"], ["staging.gone"]],
    );
    assert.deepEqual(
      groups.changed.map(({ stacks }) => stacks),
      [["staging.a", "staging.b"], ["staging.c"]],
    );
  });

  it("shows failures with the same cause once", () => {
    const failed = (slug: string): StackPreview => ({
      ...preview(slug),
      result: "failed",
      changes: [],
      errors: [{ message: `${slug} has no settings` }],
    });
    const { failed: groups } = groupStacks({ stacks: [failed("a"), failed("b")] });
    assert.deepEqual(
      groups.map(({ stacks }) => stacks),
      [["staging.a", "staging.b"]],
    );
  });

  it("puts every stack in exactly one group", () => {
    fc.assert(
      fc.property(anyStacks, (stacks) => {
        const groups = groupStacks({ stacks });
        const shown = [...stacksOf(groups).flat(), ...groups.unchanged].toSorted();
        assert.deepEqual(shown, stacks.map(({ stack }) => stack).toSorted());
      }),
    );
  });
});
