import { parse } from "shell-quote";
import type { GoCommand } from "./plan.ts";

const ASSIGNMENT = /^([A-Za-z_]\w*)=(.*)$/s;

/**
 * Parses the shell text of a RUN instruction: go commands joined by `&&`, each after assignments such
 * as `CGO_ENABLED=0`. Returns a reason if the text is anything else.
 */
export function goCommands(text: string): readonly GoCommand[] | string {
  const commands: GoCommand[] = [];
  for (const words of splitAtAnd(text)) {
    if (typeof words === "string") return words;
    const env: Record<string, string> = {};
    const rest = [...words];
    for (let match; (match = ASSIGNMENT.exec(rest[0] ?? "")); rest.shift()) {
      env[match[1] ?? ""] = match[2] ?? "";
    }
    const [program, ...args] = rest;
    if (program !== "go") {
      return `${JSON.stringify(program ?? "")} is not \`go\`; only go commands joined by && can run`;
    }
    commands.push({ args, env });
  }
  return commands;
}

/** The words of each command; a reason in the place of a command that needs a shell. */
function splitAtAnd(text: string): (readonly string[] | string)[] {
  const commands: string[][] = [[]];
  for (const token of parse(text, (name) => ({ variable: name }))) {
    if (typeof token === "string" && !token.includes("`")) commands.at(-1)?.push(token);
    else if (typeof token === "object" && "op" in token && token.op === "&&") commands.push([]);
    else return [`${describe(token)} needs a shell; only go commands joined by && can run`];
  }
  return commands;
}

function describe(token: string | object): string {
  if (typeof token === "string") return token;
  if ("variable" in token) return `$${String(token.variable)}`;
  if ("pattern" in token) return String(token.pattern);
  if ("comment" in token) return `#${String(token.comment)}`;
  return "op" in token ? String(token.op) : "it";
}
