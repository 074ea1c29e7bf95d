import type { Diagnosis } from "../../automation/doctor/doctor.ts";
import { count } from "../../core/previews/text.ts";
import { durationText, paint, printable, type Style } from "../text.ts";

const SIGNS: Readonly<Record<Diagnosis["status"], readonly [sign: string, style: Style]>> = {
  ok: ["✔", "green"],
  warning: ["!", "yellow"],
  failed: ["✗", "red"],
  skipped: ["-", "dim"],
};

/** The checks by system, each with what to do, and a line that counts them. */
export function diagnosisLines(all: readonly Diagnosis[], durationMs: number): string[] {
  const bySystem = Map.groupBy(all, ({ system }) => system);
  const lines = [...bySystem].flatMap(([system, checks]) => [
    paint("bold", system),
    ...checks.flatMap(({ check, status, found, todo }) => {
      const [sign, style] = SIGNS[status];
      const [first = "", ...more] = found.split("\n");
      return [
        paint(style, `  ${sign} ${check}: ${printable(first)}`),
        ...more.map((line) => `    ${printable(line)}`),
        ...(todo === undefined ? [] : [`    → ${printable(todo)}`]),
      ];
    }),
  ]);
  const number = (status: Diagnosis["status"]) =>
    all.filter((each) => each.status === status).length;
  const counts = [
    `${number("ok")} ok`,
    count(number("warning"), "warning"),
    `${number("failed")} failed`,
    `${number("skipped")} skipped`,
  ];
  return [...lines, "", `${counts.join(", ")} in ${durationText(durationMs)}.`];
}
