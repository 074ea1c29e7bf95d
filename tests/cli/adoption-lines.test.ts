import assert from "node:assert/strict";
import { adoptionLines } from "../../cli/views/adoption-lines.ts";

const role = {
  system: "postgres",
  what: "role my_app",
  whose: "unmarked",
  changes: ["a new password"],
  problems: [],
} as const;

function lines(problems: string[] = [], what: string = role.what): string[] {
  const found = [{ ...role, what, changes: [...role.changes], problems }];
  const missing = [{ system: "redis", what: "user my-app and its keys" }];
  return adoptionLines("staging.my-app", { found, missing });
}

describe("the table of an adoption", () => {
  it("shows each object with its owner, its changes, and what will be created", () => {
    assert.deepEqual(lines(), [
      "Found under the name of staging.my-app:",
      "postgres",
      "  = role my_app (no mark)",
      "      ~ a new password",
      "missing, so the up creates it",
      "  + redis: user my-app and its keys",
      "",
      "1 object found. Everything stays except what ~ shows; nothing is deleted.",
    ]);
  });

  it("shows every reason against it, and never promises anything then", () => {
    const all = lines(["is a superuser", "may create roles"]);
    assert.ok(all.includes("      ✗ is a superuser"));
    assert.equal(all.at(-1), "1 object found. 2 reasons against adopting as it is.");
  });

  it("escapes what a name could do to a terminal", () => {
    assert.ok(lines([], "role \u001b[2Jx")[2]?.includes("\\u001b[2Jx"));
  });
});
