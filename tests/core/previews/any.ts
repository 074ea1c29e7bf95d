import fc from "fast-check";
import { CHANGE_OPS, type StackPreview } from "../../../core/previews/model.ts";

/** Texts with a meaning in Markdown, in HTML or for a host. */
const NASTY = [
  "@ada",
  "@org/team",
  "<script>alert(1)</script>",
  "</code></details>",
  "<!-- rdev-infra:preview -->",
  "-->",
  "`` ` ```",
  "|",
  "\n\n# heading\n",
  "\r\n- item",
  "[x](javascript:alert(1))",
  "![](http://x)",
  "https://example.test/@ada",
  "#12",
  "&lt;&#64;ada",
  "\\",
  "**_~~",
  "\u202e",
  "\ud800",
  ":smile:",
  "\u0000",
];

const nasty = fc
  .array(fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: "binary", maxLength: 12 })), {
    maxLength: 5,
  })
  .map((parts) => parts.join(""));

const property = fc.record(
  {
    path: nasty,
    kind: fc.constantFrom("add", "update", "delete"),
    replaces: fc.boolean(),
    old: nasty,
    new: nasty,
  },
  { requiredKeys: ["path", "kind", "replaces"] },
);

const change = fc.record({
  op: fc.constantFrom(...CHANGE_OPS),
  urn: nasty,
  type: nasty,
  name: nasty,
  properties: fc.array(property, { maxLength: 4 }),
  moreProperties: fc.nat(3),
});

/** The preview of any stack. Its names and values try to escape their place in the report. */
const anyStack: fc.Arbitrary<Omit<StackPreview, "stack">> = fc.record({
  result: fc.constantFrom("succeeded", "succeeded", "failed", "cancelled"),
  durationMs: fc.nat(),
  unchanged: fc.nat(50),
  changes: fc.array(change, { maxLength: 4 }),
  findings: fc.array(fc.record({ rule: nasty, urn: nasty, message: nasty, blocks: fc.boolean() }), {
    maxLength: 2,
  }),
  errors: fc.array(
    fc.record({ code: nasty, urn: nasty, message: nasty }, { requiredKeys: ["message"] }),
    { maxLength: 2 },
  ),
});

/** Previews of stacks with different names. */
export const anyStacks: fc.Arbitrary<StackPreview[]> = fc
  .array(fc.tuple(fc.oneof(nasty, fc.constantFrom("a", "app", "name")), anyStack), {
    maxLength: 12,
  })
  .map((list) => list.map(([name, stack], index) => ({ ...stack, stack: `s${index}.${name}` })));
