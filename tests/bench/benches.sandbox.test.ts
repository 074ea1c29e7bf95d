import assert from "node:assert/strict";
import { join } from "node:path";
import { execa } from "execa";

/** The smallest run of each bench, and what it prints last. The agent's needs a `fluent-bit`. */
const BENCHES: readonly (readonly [name: string, args: readonly string[], last: RegExp])[] = [
  [
    "api",
    "--rounds 1 --kinds create,destroy --seconds 1 --batch 1 --concurrencies 1 --no-bounds".split(
      " ",
    ),
    /^1 projects, 1 at once: [\d.]+ s, \d+ an hour, workers at most \d+ MiB$/,
  ],
  [
    "preview",
    ["--stacks", "1", "--plain", "1", "--concurrencies", "1", "--no-bounds"],
    /^ {2}[\d.]+ times as many$/,
  ],
  [
    "page",
    ["--runs", "1", "--projects", "60", "--no-bounds"],
    /^over the wire, at first: \d+\.\d kB$/,
  ],
  [
    "fleet",
    ["--projects", "1", "--at-once", "1", "--no-bounds"],
    /^a rollout's waves of 1 projects: [\d.]+ s, [\d.]+ s of CPU$/,
  ],
  ["citadel", ["--events", "1000", "--rounds", "1"], /^query .* \d+ found$/],
  ["audit", ["--events", "500"], /^shipper: [1-9]\d* events /],
];

describe("the bench", function () {
  this.timeout(900_000);
  for (const [name, args, last] of BENCHES) {
    it(`${name} runs to its end`, async () => {
      const script = join(import.meta.dirname, `../../bench/${name}.ts`);
      const { all, exitCode } = await execa(process.execPath, [script, ...args], {
        all: true,
        reject: false,
      });
      assert.equal(exitCode, 0, all);
      assert.match(all.trimEnd().split("\n").at(-1) ?? "", last, all);
    });
  }
});
