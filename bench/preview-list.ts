/**
 * Previews stacks as `rdev-infra preview --stacks` does, but a stack that is named n times n times: so few
 * projects measure many previews. `node bench/preview-list.ts <concurrency> <folder> <stack> …`.
 */
import { previewStacks } from "../automation/previews/preview-stacks.ts";
import { parseBlockRules } from "../core/previews/policies.ts";

const [concurrency, workDir = "", ...stacks] = process.argv.slice(2);
const rules = parseBlockRules("none");
const previews = await previewStacks(stacks, {
  workDir,
  rules,
  concurrency: Number(concurrency),
});
const failed = previews.filter(({ result }) => result !== "succeeded");
if (failed.length > 0) throw new Error(JSON.stringify(failed.slice(0, 3)));
