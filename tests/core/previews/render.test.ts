import assert from "node:assert/strict";
import fc from "fast-check";
import { code, link } from "../../../core/previews/markdown.ts";
import type { StackPreview } from "../../../core/previews/model.ts";
import { MIN_LIMIT, renderReport } from "../../../core/previews/render.ts";
import { makeReport, summaryLine } from "../../../core/previews/report.ts";
import { anyStacks } from "./any.ts";

const REPLICAS = {
  path: "spec.replicas",
  kind: "update",
  replaces: false,
  old: "1",
  new: "2",
} as const;

/** A project's preview that changes its Deployment. */
function project(slug: string, more: Partial<StackPreview> = {}): StackPreview {
  const type = "kubernetes:apps/v1:Deployment";
  const urn = `urn:pulumi:staging.${slug}::rdev::${type}::${slug}`;
  return {
    stack: `staging.${slug}`,
    result: "succeeded",
    durationMs: 1,
    unchanged: 20,
    changes: [{ op: "update", urn, type, name: slug, properties: [REPLICAS], moreProperties: 0 }],
    findings: [],
    errors: [],
    ...more,
  };
}

const report = (stacks: StackPreview[]) =>
  makeReport({ stacks, selection: "all", durationMs: 5, commit: "0123456789abcdef" });

const LOST = {
  op: "replace",
  urn: "urn:pulumi:staging.shop::rdev::pulumi-nodejs:dynamic/postgres:Database::shop",
  type: "pulumi-nodejs:dynamic/postgres:Database",
  name: "shop",
  properties: [{ path: "name", kind: "update", replaces: true, old: "shop", new: "store" }],
  moreProperties: 0,
} as const satisfies StackPreview["changes"][number];

describe("renderReport", () => {
  it("shows a change of many stacks once, the severe ones first, and counts the unchanged", () => {
    const many = Array.from({ length: 37 }, (_, index) => project(`app-${index}`));
    const same = Array.from({ length: 5 }, (_, index) => project(`same-${index}`, { changes: [] }));
    const failed = project("broken", {
      result: "failed",
      changes: [],
      errors: [{ code: "RDEV_SETTINGS", message: "rdev:domain is missing" }],
    });
    const shop = project("shop", {
      changes: [LOST],
      findings: [
        { rule: "database-lost", urn: LOST.urn, message: "its data is lost", blocks: true },
      ],
    });
    const text = renderReport(report([...many, ...same, failed, shop]));
    const order = [
      "## ❌ Preview: 1 blocking, 1 replaced, 1 failed, 37 updated; 38 of 44 stacks would change",
      "### ⛔ Replacements, deletions and what blocks",
      "<details open><summary><code>staging.shop</code>: <b>1 blocking</b>, <b>1 REPLACED</b>",
      "⛔ **blocks** <code>database-lost</code>: <code>its data is lost</code>",
      "⛔ <b>REPLACE</b> <code>postgres&#58;Database</code> <code>shop</code>",
      "<code>name</code>: <code>shop</code> → <code>store</code> **(replaces)**",
      "### ❌ Failed",
      "<code>RDEV&#95;SETTINGS</code> <code>rdev&#58;domain is missing</code>",
      "### Changes",
      "<details><summary><b>37 stacks</b>: 1 updated, <code>kubernetes&#58;Deployment</code>",
      "<code>staging.app-0</code>, <code>staging.app-1</code>",
      "and 17 more",
      "<code>spec.replicas</code>: <code>1</code> → <code>2</code>",
      "5 stacks unchanged.",
      "commit <code>0123456789abcdef</code>",
    ];
    let from = 0;
    for (const part of order) {
      const at = text.indexOf(part, from);
      assert.ok(at >= 0, `${part}\nis not in its place in\n${text}`);
      from = at;
    }
    assert.equal(text.split("<summary>").length - 1, 3);
  });

  it("leaves out whole groups beyond the limit, counts them, and links the whole report", () => {
    const stacks = Array.from({ length: 500 }, (_, index) =>
      project(`app-${index}`, {
        changes: [{ ...project("x").changes[0]!, properties: [{ ...REPLICAS, new: `${index}` }] }],
      }),
    );
    const reportUrl = "https://ci.test/run/7?a=(1)@x";
    const text = renderReport(report(stacks), { limit: 20_000, reportUrl });
    assert.ok(text.length <= 20_000);
    assert.ok(text.length > 15_000, "room is left unused");
    const shown = text.match(/<code>staging\.app-\d+<\/code>/g)?.length ?? 0;
    const url = "https://ci.test/run/7?a=%281%29%40x";
    const left = `**${500 - shown} more groups of changes, of ${500 - shown} stacks, are left out here**`;
    assert.ok(text.includes(`${left}: [the whole report](<${url}>).`), text.slice(-500));
  });

  it("never exceeds the limit, and contains no mention or HTML from outside", () => {
    const limits = fc.oneof(fc.constant(Infinity), fc.integer({ min: MIN_LIMIT, max: 30_000 }));
    fc.assert(
      fc.property(anyStacks, limits, (stacks, limit) => {
        const text = renderReport(report(stacks), { limit });
        assert.ok(text.length <= limit, `${text.length} > ${limit}`);
        assert.doesNotMatch(text, /@/);
        const rest = text.replace(/<\/?(details|summary|code|b)>|<details open>/g, "");
        assert.doesNotMatch(rest, /[<>`|\\]|\]\(/);
        // Every text from outside is inside one <code> element.
        for (const [, inside] of text.matchAll(/<code>(.*?)<\/code>/gs)) {
          assert.match(inside ?? "", /^([^\x00-\x7f]|[A-Za-z0-9 .,/=()+-]|&#\d+;|&quot;)+$/);
        }
        assert.equal(text.split("<code>").length, text.split("</code>").length);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a text in Markdown", () => {
  it("renders as the original text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (text) => {
        const shown = code(text)
          .replace(/^<code>|<\/code>$/g, "")
          .replace(/&#(\d+);/g, (_, number) => String.fromCharCode(Number(number)));
        assert.equal(shown, text);
      }),
    );
  });

  it("makes direction marks, control characters and empty values visible", () => {
    assert.equal(code("a\u202eb"), "<code>a⟨U+202E⟩b</code>");
    assert.equal(code("a\r\nb\u0007"), "<code>a⏎b\uFFFD</code>");
    assert.equal(code(""), "<code>&quot;&quot;</code>");
  });

  it("becomes a link only for an http or https URL", () => {
    assert.equal(link("x", "javascript:alert(1)"), undefined);
    assert.equal(link("x", "no address"), undefined);
    assert.equal(link("x", "https://a.test/<b>)"), "[x](<https://a.test/%3Cb%3E%29>)");
  });
});

describe("summaryLine", () => {
  it("puts the most severe counts first, and stays short", () => {
    assert.equal(summaryLine(report([project("a", { changes: [] })])), "no changes in 1 stack");
    const number = 99_999;
    const totals = Object.fromEntries(
      Object.keys(report([]).totals).map((key) => [key, number]),
    ) as ReturnType<typeof report>["totals"];
    const line = summaryLine({ totals });
    assert.match(line, /^99999 blocking, 99999 replaced, 99999 deleted, 99999 failed/);
    assert.ok(line.length <= 200);
  });
});
