import type { Adoptable } from "../../core/adoption.ts";
import { whoseText } from "../../core/adoption.ts";
import { count } from "../../core/previews/text.ts";
import { paint, printable } from "../text.ts";

interface Found {
  readonly found: readonly Adoptable[];
  readonly missing: readonly { readonly system: string; readonly what: string }[];
}

/** What an adoption finds: each object, whose it is, what changes on it, and what speaks against it. */
export function adoptionLines(stack: string, { found, missing }: Found): string[] {
  const bySystem = Map.groupBy(found, ({ system }) => system);
  const objects = [...bySystem].flatMap(([system, all]) => [
    paint("bold", system),
    ...all.flatMap(objectLines),
  ]);
  const created = missing.map(({ system, what }) =>
    paint("green", `  + ${system}: ${printable(what)}`),
  );
  const refusals = found.flatMap(({ problems }) => problems).length;
  return [
    `Found under the name of ${stack}:`,
    ...objects,
    ...(created.length > 0 ? [paint("bold", "missing, so the up creates it"), ...created] : []),
    "",
    `${count(found.length, "object")} found. ` +
      (refusals > 0
        ? `${count(refusals, "reason")} against adopting as it is.`
        : "Everything stays except what ~ shows; nothing is deleted."),
  ];
}

function objectLines(object: Adoptable): string[] {
  const { what, changes, problems } = object;
  return [
    `  = ${printable(what)} (${whoseText(object)})`,
    ...changes.map((change) => paint("yellow", `      ~ ${printable(change)}`)),
    ...problems.map((problem) => paint("red", `      ✗ ${printable(problem)}`)),
  ];
}
