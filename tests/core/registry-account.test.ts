import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type AccountName,
  isSameSecret,
  registryAccount,
  verifiedAccount,
} from "../../core/registry-account.ts";

const SECRET = "a secret of thirty-two characters";
const NAME: AccountName = { platform: "staging", slug: "my-app", kind: "push", version: 1 };

describe("a project's account of the registry", () => {
  it("is derived: its username says whose it is, and it is the same each time", () => {
    const account = registryAccount(SECRET, NAME);
    assert.equal(account.username, "staging.my-app.push.1");
    assert.match(account.password, /^[\w-]{43}$/);
    assert.deepEqual(registryAccount(SECRET, NAME), account);
    assert.deepEqual(verifiedAccount(SECRET, account), NAME);
  });

  it("has a password of its own for each platform, project, kind, version and secret", () => {
    const { password } = registryAccount(SECRET, NAME);
    for (const change of [
      { platform: "prod" },
      { slug: "my-app2" },
      { kind: "pull" as const },
      { version: 2 },
    ]) {
      assert.notEqual(registryAccount(SECRET, { ...NAME, ...change }).password, password);
    }
    assert.notEqual(registryAccount(`${SECRET}!`, NAME).password, password);
  });

  it("is not good with another's username, nor with any other text", () => {
    const { password } = registryAccount(SECRET, NAME);
    for (const username of [
      "staging.neighbour.push.1",
      "staging.my-app.push.2",
      "staging.my-app.push.01",
      "staging.my-app.pull.1",
      "prod.my-app.push.1",
      "STAGING.my-app.push.1",
      "staging.my-app.push",
      "staging.my-app.admin.1",
      "",
    ]) {
      assert.equal(verifiedAccount(SECRET, { username, password }), undefined, username);
    }
    fc.assert(
      fc.property(fc.string(), fc.string(), (username, guess) => {
        assert.equal(verifiedAccount(SECRET, { username, password: guess }), undefined);
        assert.equal(isSameSecret(guess, password), false);
      }),
    );
  });
});
