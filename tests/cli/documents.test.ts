import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { rdevInfra } from "../../cli/program.ts";
import { commandLines, shellBlocks } from "../support/document.ts";

const ROOT = new URL("../..", import.meta.url);
const PAGES = ["README.md", "CONTRIBUTING.md", ...globSync("docs/*.md", { cwd: ROOT })];

/** The command without its actions and its output. */
function idle(): Command {
  const silence = (command: Command): void => {
    command.configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    if (command.commands.length === 0) command.action(() => undefined);
    for (const each of command.commands) silence(each);
  };
  const command = rdevInfra();
  silence(command);
  return command;
}

describe("the command lines of the pages", () => {
  it("are ones that rdev-infra takes, with all their options and values", async () => {
    let count = 0;
    for (const page of PAGES) {
      for (const args of shellBlocks(page).flatMap(commandLines)) {
        count++;
        await idle()
          .parseAsync(args, { from: "user" })
          .catch((error: { code: string; message: string }) => {
            const { code, message } = error;
            assert.equal(code, "commander.version", `${page}: ${args.join(" ")}: ${message}`);
          });
      }
    }
    assert.ok(count > 50, `${count}`);
  });

  it("that are named in a sentence have commands and options that exist", () => {
    let count = 0;
    for (const page of PAGES) {
      const text = readFileSync(new URL(page, `${ROOT.href}/`), "utf8");
      for (const [, line = ""] of text.matchAll(/(?<!`)`(?:npx )?rdev-infra ([a-z][^`]*)`/g)) {
        count++;
        let commands = [rdevInfra()];
        for (const word of line.split(/\s+/)) {
          const [flag = ""] = word.split("=");
          const isKnown = ({ options }: Command) =>
            options.some(({ long, short }) => flag === long || flag === short);
          if (/^--?[a-z]/.test(flag)) {
            assert.ok(commands.some(isKnown), `${page}: ${line}: ${flag}`);
          } else if (commands.some((each) => each.commands.length > 0)) {
            const below = commands.flatMap((each) => each.commands);
            // "create|list" names two commands.
            commands = word.split("|").map((name) => {
              const found = below.find((each) => each.name() === name);
              return found ?? assert.fail(`${page}: ${line}: ${name}`);
            });
          }
        }
      }
    }
    assert.ok(count > 20, `${count}`);
  });
});
