import { styleText } from "node:util";
import type { NumberedEventView } from "../../automation/service/schemas/operation.ts";
import { InfraError } from "../../core/errors.ts";
import { NO_CHANGES, type Outcome } from "../../core/operation.ts";
import type { Evidence } from "../proofs/proofs.ts";

/** When the demo began, in ms. */
const BEGIN = Date.now();

/** Runs one step, and prints its evidence and its duration. */
export async function step<T>(
  title: string,
  work: () => Promise<readonly [T, Evidence]>,
): Promise<T> {
  const start = Date.now();
  const [result, evidence] = await work();
  console.log(`${styleText("green", "✔")} ${title} ${styleText("dim", since(start))}`);
  for (const line of evidence) console.log(`    ${line}`);
  return result;
}

/** Says which step is left out, and why. */
export function skip(title: string, reason: string): void {
  console.log(`${styleText("yellow", "–")} ${title}: skipped\n    ${reason}`);
}

/** Prints progress within a step, for the person who waits. */
export function note(part: string, text: string): void {
  console.error(styleText("dim", `  ${since(BEGIN)} ${part}: ${text}`));
}

export function done(): void {
  console.log(`\n${styleText("bold", "Done")} in ${since(BEGIN)}; the servers are stopped.`);
}

export function failed(message: string): void {
  console.error(`\n${styleText("red", "✖")} ${message}`);
}

export function succeeded(outcome: Outcome): Outcome {
  if (outcome.result === "succeeded") return outcome;
  const lines = outcome.errors.map(({ code, message }) => (code ? `${code}: ${message}` : message));
  throw new InfraError("RDEV_ENGINE", lines.join("\n"));
}

export function describeEvents(events: readonly NumberedEventView[]): string {
  const resources = events.filter(
    ({ event }) => event.event === "resourceDone" && !event.component,
  );
  return `followed through ${events.length} events, ${resources.length} resources done`;
}

export function describeChanges(outcome: Pick<Outcome, "changes"> | undefined): string {
  const counts = Object.entries(outcome?.changes ?? NO_CHANGES).filter(([, count]) => count > 0);
  return counts.map(([kind, count]) => `${String(count)} ${kind}`).join(", ") || "no changes";
}

function since(start: number): string {
  return `${((Date.now() - start) / 1000).toFixed(1)} s`;
}
