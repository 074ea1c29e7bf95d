import { execa } from "execa";

describe("the code", () => {
  for (const [script, what] of [
    ["format:check", "is formatted"],
    ["lint", "passes the linter"],
    ["typecheck", "passes the type check"],
    ["imports", "has no cycle, and only the arrows that are allowed"],
  ] as const) {
    it(what, async function () {
      this.timeout(300_000);
      await execa("npm", ["run", "--silent", script], { all: true });
    });
  }
});
