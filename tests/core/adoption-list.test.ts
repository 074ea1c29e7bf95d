import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAdoptionList } from "../../core/adoption-list.ts";
import { slugProblems } from "../../core/slug.ts";
import { thrown } from "../support/errors.ts";

const slug = fc
  .stringMatching(/^[a-z][a-z0-9]{3,20}$/)
  .filter((text) => slugProblems(text).length === 0);
const name = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
  .map((text) => text.trim())
  .filter((text) => text !== "" && !/[\r\n\ufeff]/.test(text));

const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;

describe("a list of projects to adopt", () => {
  it("gives every project with the settings that its row names, however they are written", () => {
    const rows = fc.uniqueArray(
      fc.record({ slug, name: fc.option(name), retainData: fc.option(fc.boolean()) }),
      {
        selector: (row) => row.slug,
        minLength: 1,
      },
    );
    fc.assert(
      fc.property(
        rows,
        fc.constantFrom("\n", "\r\n"),
        fc.constantFrom("", "\ufeff"),
        (all, end, bom) => {
          const lines = all.map((row) =>
            [row.slug, quoted(row.name ?? ""), row.retainData ?? ""].join(","),
          );
          const text = bom + ["slug,name,retainData", ...lines].join(end) + end;
          assert.deepEqual(
            parseAdoptionList(text),
            all.map((row) => ({
              slug: row.slug,
              changes: {
                ...(row.name !== null && { name: row.name }),
                ...(row.retainData !== null && { retainData: row.retainData }),
              },
            })),
          );
        },
      ),
    );
  });

  it("names every mistake with its line", () => {
    const text = [
      "slug,name,template,retainData",
      "good-one,Good,skeleton,true",
      "Bad_One,Bad,skeleton,false",
      "two-cells,Two",
      "good-one,Again,,",
      "wrong-values,Wrong,Not A Template,maybe",
    ].join("\n");
    const { message } = thrown("RDEV_SETTINGS", () => parseAdoptionList(text));
    const lines = message.split("\n  - ").slice(1);
    assert.deepEqual(
      lines
        .map((line) => line.replace(/(: .*?[:,;] ?).*/, "$1").slice(0, 60))
        .map((line) => line.slice(0, 7)),
      ["line 3:", "line 3:", "line 4:", "line 5:", "line 6:", "line 6:"],
    );
    for (const mistake of [
      `the slug "Bad_One" is not valid`,
      "it has 2 cells, but the header has 4",
      `the slug "good-one" is in line 2, too`,
      "rdev:template",
      "rdev:retainData",
    ]) {
      assert.ok(message.includes(mistake), `${mistake}\n${message}`);
    }
  });

  for (const [what, text, mistake] of [
    ["no project", "slug,name\n", "it has no project"],
    ["nothing", "", "it has no project"],
    ["no slugs", "name\nShop\n", "the column slug is missing"],
    ["an unknown column", "slug,size\nmy-app,3\n", `"size" is none of the columns`],
    ["a column twice", "slug,name,name\nmy-app,A,B\n", "the column name is there twice"],
    ["an open quote", 'slug,name\nmy-app,"Shop\n', "Quote Not Closed"],
  ] as const) {
    it(`is refused with ${what}`, () => {
      const error = thrown("RDEV_SETTINGS", () => parseAdoptionList(text));
      assert.ok(error.message.includes(mistake), error.message);
    });
  }
});
