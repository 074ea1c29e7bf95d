import { InvalidArgumentError } from "commander";
import { labelsOf, type ProjectLabels } from "../core/project-labels.ts";
import { spanMs } from "../core/units.ts";

export type ConfigOption = Readonly<Record<string, string | object>>;

/** `--config key=value`, repeatable. A value that starts like a JSON object or list is parsed as JSON. */
export function collectConfig(text: string, collected: ConfigOption = {}): ConfigOption {
  const [, key, value] = /^([A-Za-z][A-Za-z0-9]*)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    throw new InvalidArgumentError(
      "Expected key=value, such as name=Shop or sizes='{\"replicas\":2}'.",
    );
  }
  return { ...collected, [key]: parsed(value) };
}

function parsed(value: string): string | object {
  if (!/^\s*[{[]/.test(value)) return value;
  try {
    return JSON.parse(value) as object;
  } catch {
    throw new InvalidArgumentError("The value begins like JSON but is not valid JSON.");
  }
}

/** `30m`, `1h` or `7d`, as Citadel reads it. */
export function timeRange(text: string): string {
  if (!text.endsWith("s") && spanMs(text) !== undefined) return text;
  throw new InvalidArgumentError("Expected a time such as 30m, 1h or 7d.");
}

/** Like `timeRange`, at most so many days. */
export function timeRangeWithin(days: number): (text: string) => string {
  return (text) => {
    if (timeSpan(text) <= days * 86_400_000) return text;
    throw new InvalidArgumentError(`Expected at most ${days}d.`);
  };
}

/** `30m`, `1h` or `7d`, in ms. */
export function timeSpan(text: string): number {
  return spanMs(timeRange(text)) ?? 0;
}

/** Labels of projects: `team=shop,tier=1`. */
export function labels(text: string): ProjectLabels {
  const found = labelsOf(text);
  if (found) return found;
  throw new InvalidArgumentError("Expected labels such as team=shop,tier=1.");
}

/** Returns a parser of whole numbers within these limits. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (number >= min && number <= max) return number;
    throw new InvalidArgumentError(`Expected a number from ${min} to ${max}.`);
  };
}
