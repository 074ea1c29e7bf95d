import assert from "node:assert/strict";
import { parseStackName, projectStackName } from "../../core/stack-name.ts";
import { thrown } from "../support/errors.ts";

describe("stack name", () => {
  it("is a platform's", () => {
    assert.deepEqual(parseStackName("staging"), { kind: "platform", platform: "staging" });
  });

  it("is a project's", () => {
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
    it(`is not ${JSON.stringify(name)}`, () => {
      const error = thrown("RDEV_STACK_NAME", () => parseStackName(name));
      assert.ok(error.message.includes(`"${name}"`), error.message);
    });
  }
});
