import { connectionSecrets } from "../../core/connections.ts";
import { stackChanges } from "../../core/previews/changes.ts";
import type { StackPreview } from "../../core/previews/model.ts";
import { findings, type BlockRules } from "../../core/previews/policies.ts";
import { safeText } from "../../core/previews/sensitive.ts";
import type { Step } from "../../core/previews/step.ts";
import { cutMiddle } from "../../core/previews/text.ts";
import type { PreviewOptions } from "../engine/options.ts";
import { preview } from "../engine/stack.ts";

/** In characters. An error can contain a diff of 10 MB. */
const MAX_ERROR = 10_000;

export type PreviewStackOptions = Pick<
  PreviewOptions,
  "workDir" | "program" | "env" | "platform" | "formerly" | "signal" | "kill"
> & { readonly rules: BlockRules };

/** Previews one stack and applies the policies. Never throws. */
export async function previewStack(
  stack: string,
  { rules, ...options }: PreviewStackOptions,
): Promise<StackPreview> {
  const steps: Step[] = [];
  const { result, durationMs, errors } = await preview(stack, {
    ...options,
    onStep: (step) => steps.push(step),
  });
  const secrets = connectionSecrets();
  const isProject = stack.includes(".");
  return {
    stack,
    result,
    durationMs,
    ...stackChanges(steps, secrets),
    findings: findings(steps, { secrets, isProject, rules }),
    errors: errors.map(({ code, urn, message }) => ({
      ...(code && { code }),
      ...(urn && { urn: safeText(urn, secrets) }),
      message: cutMiddle(safeText(message, secrets), MAX_ERROR),
    })),
  };
}
