import assert from "node:assert/strict";
import { parseStackName, projectStackName } from "../../core/stack-name.ts";
import { thrown } from "../support/errors.ts";

describe("parseStackName", () => {
  it("parses the name of a platform's stack", () => {
    assert.deepEqual(parseStackName("staging"), { kind: "platform", platform: "staging" });
  });

  it("parses the name of a project's stack", () => {
    assert.deepEqual(parseStackName(projectStackName("staging", "my-app")), {
      kind: "project",
      platform: "staging",
      slug: "my-app",
    });
  });

  for (const name of [
    "",
    "Staging",
    "staging.",
    "staging.my_app",
    "staging.my.app",
    ".my-app",
    "a b",
  ]) {
    it(`refuses ${JSON.stringify(name)}`, () => {
      const error = thrown("RDEV_STACK_NAME", () => parseStackName(name));
      assert.ok(error.message.includes(`"${name}"`), error.message);
    });
  }
});
