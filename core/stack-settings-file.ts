import { isDeepStrictEqual } from "node:util";
import { parse, stringify } from "yaml";
import { z } from "zod";

/** A stack's config as its program gets it: every value is text, and lists and maps are JSON. */
type Config = Readonly<Record<string, string>>;

const file = z.object({ config: z.record(z.string(), z.unknown()).default({}) });

/** The name of a stack's settings file. */
export function settingsFileName(stack: string): string {
  return `Pulumi.${stack}.yaml`;
}

/** The text of a settings file with this config. */
export function settingsFileText(config: Config): string {
  const values = Object.entries(config)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, text]) => [key, valueOf(text)] as const);
  return stringify({ config: Object.fromEntries(values) });
}

/** Whether two settings files give their stack the same config, however they are written. */
export function haveSameConfig(a: string, b: string): boolean {
  const [first, second] = [configIn(a), configIn(b)];
  return first !== undefined && isDeepStrictEqual(first, second);
}

function configIn(text: string): Record<string, unknown> | undefined {
  try {
    const { config } = file.parse(parse(text));
    const values = Object.entries(config).map(([key, value]) => [
      key,
      valueOf(typeof value === "string" ? value : JSON.stringify(value)),
    ]);
    return Object.fromEntries(values) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** A list or a map. Any other text stays text. */
function valueOf(text: string): unknown {
  if (!/^[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
