import type { Entry } from "../../automation/logs/logs.ts";
import { paint } from "../views/view.ts";

type Style = Parameters<typeof paint>[0];

const COLOURS: Readonly<Partial<Record<string, Style>>> = {
  error: "red",
  warn: "yellow",
  info: "green",
  debug: "blue",
  trace: "gray",
};

/** `2026-01-31 12:00:00.000Z ERROR rdev-api  message  field=value …`, on one line. */
export function entryLine({ timestamp, level, service, message, metadata }: Entry): string {
  const fields = Object.entries(metadata)
    .filter(([, value]) => value !== null && value !== "")
    .map(([key, value]) => `${printable(key)}=${valueText(value)}`);
  const parts = [
    `${paint("dim", printable(timestamp).replace("T", " "))} ` +
      `${paint(COLOURS[level] ?? "reset", printable(level).toUpperCase().padEnd(5))} ` +
      paint("cyan", printable(service)),
    printable(message),
    ...(fields.length > 0 ? [paint("dim", fields.join(" "))] : []),
  ];
  return parts.join("  ");
}

function valueText(value: unknown): string {
  if (typeof value !== "string") return printable(JSON.stringify(value) ?? "");
  return /^[^\s"=]+$/.test(value) ? printable(value) : printable(JSON.stringify(value));
}

/**
 * Control characters, and those that turn the direction of writing, as text: a log line must be able
 * neither to steer the terminal nor to look like two.
 */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
