import { readFileSync } from "node:fs";
import { parse } from "shell-quote";

/** The `sh` blocks of a page's section, or of the whole page, in order. `page` is a path in the repository. */
export function shellBlocks(page: string, heading?: string): string[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), "utf8");
  const sections = text.split(/^(?=##? )/m);
  const wanted = heading ? sections.filter((part) => part.startsWith(`## ${heading}\n`)) : sections;
  return wanted.flatMap((part) =>
    [...part.matchAll(/^( *)```sh\n([^]*?)^\1```$/gm)].map(([, , block = ""]) => block),
  );
}

/** The arguments of each call of `rdev-infra` in a shell block, also of those in `$(…)`. */
export function commandLines(block: string): string[][] {
  const calls: string[][] = [];
  const lines = block.replaceAll("\\\n", " ").replace(/<[\w ]+>/g, "placeholder");
  for (const line of lines.split("\n")) {
    let call: string[] | undefined;
    let previous: unknown = { op: ";" };
    for (const token of parse(line, (name) => `$${name}`)) {
      const word =
        typeof token === "string" ? token : "pattern" in token ? token.pattern : undefined;
      if (word === undefined) call = undefined;
      else if (call) call.push(word);
      else if (word === "rdev-infra" && begins(previous)) calls.push((call = []));
      previous = token;
    }
  }
  return calls;
}

/** Whether a command can follow this token. */
function begins(token: unknown): boolean {
  return typeof token !== "string" || /^(npx|--|\w+=.*)$/.test(token);
}
