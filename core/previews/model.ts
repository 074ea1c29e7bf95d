import { z } from "zod";

/** What `up` would do to a resource. */
export const CHANGE_OPS = ["replace", "delete", "create", "update", "import"] as const;

/** A property's value as text. A secret is `[secret]`; a value known only after the update is `computed`. */
const value = z.string().meta({ description: "as text; a long value is cut in its middle" });

const property = z.object({
  path: z.string().meta({ description: "such as spec.template.spec.containers[0].image" }),
  kind: z.enum(["add", "update", "delete"]),
  replaces: z.boolean().meta({ description: "this change is why the resource is replaced" }),
  old: value.optional(),
  new: value.optional(),
});

export const change = z.object({
  op: z.enum(CHANGE_OPS),
  urn: z.string(),
  type: z.string(),
  name: z.string(),
  properties: z.array(property).meta({ description: "for an update or a replacement" }),
  moreProperties: z
    .int()
    .min(0)
    .meta({ description: "how many differing properties are not listed" }),
});

const error = z.object({
  code: z.string().optional().meta({ description: "RDEV_…, for errors of rdev-infra itself" }),
  urn: z.string().optional(),
  message: z.string(),
});

const finding = z.object({
  rule: z.string().meta({ description: "a rule's name, or <operation>:<type>" }),
  urn: z.string(),
  message: z.string(),
  blocks: z.boolean().meta({ description: "fails the command and the commit's status" }),
});

/** What an operation would change in its stack. */
export const stackPlan = z
  .object({
    fingerprint: z.string().meta({
      description: "identifies the plan: a plan that differs in any way has another one",
    }),
    unchanged: z.int().min(0).meta({ description: "the number of unchanged resources" }),
    changes: z.array(change),
    findings: z.array(finding),
  })
  .meta({ id: "StackPlan" });

export type StackPlan = z.output<typeof stackPlan>;

/** Stacks with the same changes. */
export const group = z
  .object({
    stacks: z.array(z.string()),
    changes: z.array(change).meta({
      description: "of each stack; `<slug>` replaces the slug if the stacks differ only by it",
    }),
    findings: z.array(finding),
    errors: z.array(error),
  })
  .meta({ id: "PreviewGroup" });

export type Group = z.output<typeof group>;

const stack = z.object({
  stack: z.string(),
  result: z.enum(["succeeded", "failed", "cancelled"]),
  durationMs: z.number(),
  unchanged: z.int().min(0).meta({ description: "the number of unchanged resources" }),
  changes: z.array(change),
  findings: z.array(finding),
  errors: z.array(error).meta({ description: "why it failed; the changes may then be incomplete" }),
});

export const reportTotals = z.object({
  stacks: z.int(),
  changed: z.int(),
  unchanged: z.int(),
  failed: z.int(),
  cancelled: z.int(),
  create: z.int(),
  update: z.int(),
  replace: z.int(),
  delete: z.int(),
  import: z.int(),
  findings: z.int(),
  blocking: z.int(),
});

export const REPORT_VERDICTS = [
  "unchanged",
  "changed",
  "destructive",
  "blocked",
  "failed",
] as const;

/** The report of many previews, as `--json` writes it. docs/previews.md describes it. */
export const reportSchema = z.object({
  version: z.literal(1),
  verdict: z.enum(REPORT_VERDICTS),
  commit: z.string().optional(),
  selection: z.string().meta({ description: "which stacks were previewed, and why" }),
  durationMs: z.number(),
  totals: reportTotals,
  stacks: z.array(stack),
});

export type Report = z.output<typeof reportSchema>;
export type Totals = Report["totals"];
export type Verdict = Report["verdict"];
export type StackPreview = z.output<typeof stack>;
export type Change = z.output<typeof change>;
export type PropertyChange = z.output<typeof property>;
export type Finding = z.output<typeof finding>;
export type PreviewError = z.output<typeof error>;
