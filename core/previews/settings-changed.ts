import { differenceText, SETTINGS_RECORD, settingsDifferences } from "../recorded-settings.ts";
import { projectChanges, type ProjectChanges } from "../settings.ts";
import { nameOf, type Properties, type Step } from "./step.ts";

/** Says which settings an `up` would change; undefined for a step that changes none. */
export function settingsChanged({ type, op, urn, ...step }: Step): string | undefined {
  if (type !== SETTINGS_RECORD || op !== "update") return undefined;
  const [before, after] = [settingsOf(step.old?.inputs), settingsOf(step.new?.inputs)];
  if (!before || !after) return undefined;
  const differences = settingsDifferences(before, after).map(differenceText);
  if (differences.length === 0) return undefined;
  return `${nameOf(urn)} is not as its last up was made with: ${differences.join(", ")}.`;
}

function settingsOf(inputs: Properties | undefined): ProjectChanges | undefined {
  return projectChanges.safeParse(inputs?.["settings"]).data;
}
