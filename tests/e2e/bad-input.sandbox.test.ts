import assert from "node:assert/strict";
import { preview, up } from "../../automation/engine/stack.ts";
import type { Outcome } from "../../core/operation.ts";
import { projects, type Run } from "../support/stage.ts";
import { withVariables } from "../support/variables.ts";

describe("bad input", function () {
  this.timeout(400_000);
  const project = projects();

  function onlyError({ result, errors }: Outcome | Run) {
    assert.equal(result, "failed");
    assert.equal(errors.length, 1, JSON.stringify(errors));
    return errors[0]!;
  }

  for (const name of ["Staging", "staging.", "staging.my_app", "staging.my.app", "staging.admin"]) {
    it(`refuses the stack name ${name}`, async () => {
      const { code, message } = onlyError(await up(name));
      assert.equal(code, "RDEV_STACK_NAME");
      assert.ok(message.includes(`"${name}"`), message);
    });
  }

  it("says how to make a platform that does not exist", async () => {
    const { workDir } = await project();
    const { code, message } = onlyError(await up("nowhere.my-app", { workDir }));
    assert.equal(code, "RDEV_PLATFORM");
    assert.match(message, /rdev-infra up nowhere/);
  });

  it("names all missing, empty or malformed variables in one error", async () => {
    const one = await project();
    const wrong = {
      GITEA_TOKEN: undefined,
      WOODPECKER_URL: "ci.example.test",
      POWERDNS_API_KEY: "",
      REGISTRY_PASSWORD: "two words",
      POSTGRES_ADMIN_URL: "mysql://planted-4711@localhost",
      REDIS_ADMIN_URL: undefined,
      CITADEL_API_KEY: "planted-4711",
    };
    const { code, message } = onlyError(await withVariables(wrong, () => one.up()));
    assert.equal(code, "RDEV_CONNECTION");
    const named = message.split("\n").flatMap((line) => /^ +- (\w+)/.exec(line)?.[1] ?? []);
    assert.deepEqual(named.sort(), Object.keys(wrong).sort());
    assert.doesNotMatch(message, /planted|two words/);
    assert.deepEqual(await one.onServers(), []);
  });

  it("names a template that does not exist, and makes nothing", async () => {
    const one = await project();
    const run = await one.up({ config: { template: "nope" } });
    const { code, message } = onlyError(run);
    assert.equal(code, "RDEV_TEMPLATE");
    assert.match(message, /nope/);
    assert.deepEqual(await one.onServers(), []);
  });

  it("says how to make a stack that does not exist, in a preview of it", async () => {
    const one = await project();
    const { message } = onlyError(await preview(one.stack, { workDir: one.workDir }));
    assert.match(message, new RegExp(`rdev-infra up ${one.stack}`));
  });
});
