import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type AccountName,
  granted,
  type Holder,
  isSameSecret,
  parseScopes,
  registryAccount,
  verifiedAccount,
} from "../../core/registry.ts";
import { thrown } from "../support/errors.ts";

const SECRET = "a secret of thirty-two characters";
const NAME: AccountName = { platform: "staging", slug: "my-app", kind: "push", version: 1 };

describe("registryAccount", () => {
  it("derives the same account each time, with the project in its username", () => {
    const account = registryAccount(SECRET, NAME);
    assert.equal(account.username, "staging.my-app.push.1");
    assert.match(account.password, /^[\w-]{43}$/);
    assert.deepEqual(registryAccount(SECRET, NAME), account);
    assert.deepEqual(verifiedAccount(SECRET, account), NAME);
  });

  it("derives another password for another platform, project, kind, version or secret", () => {
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

  it("gives passwords that are valid for no other username", () => {
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

const ALL = ["pull", "push", "delete", "*"];

/** The marks of two projects of staging below a path, and of one of prod. */
const MARKS: Readonly<Record<string, { platform: string; slug: string }>> = {
  "team/my-app": { platform: "staging", slug: "my-app" },
  "team/neighbour": { platform: "staging", slug: "neighbour" },
  "prod/my-app": { platform: "prod", slug: "my-app" },
  // Marked for the wrong project.
  "team/other": { platform: "staging", slug: "my-app" },
};

function may(holder: Holder, name: string, type = "repository"): Promise<string> {
  const scope = { type, name, actions: ALL };
  const access = granted(holder, scope, (path) => Promise.resolve(MARKS[path]));
  return access.then((found) => found?.actions.join(",") ?? "");
}

const project = (kind: "push" | "pull"): Holder => ({
  kind: "project",
  account: { platform: "staging", slug: "my-app", kind, version: 1 },
});

describe("granted", () => {
  it("lets a project's account push to and pull from its own repository, but not delete", async () => {
    assert.equal(await may(project("push"), "team/my-app"), "pull,push");
    assert.equal(await may(project("pull"), "team/my-app"), "pull");
  });

  it("grants a project's account nothing else", async () => {
    for (const name of [
      "team/neighbour",
      "team/my-app-2",
      "team/my-app/cache",
      "team/other",
      "my-app",
      "prod/my-app",
      "rdev-infra/marks/team/my-app",
      "rdev-infra/my-app",
      "team/../my-app",
      "team/My-App",
    ]) {
      assert.equal(await may(project("push"), name), "", name);
    }
    assert.equal(await may(project("push"), "catalog", "registry"), "");
  });

  it("lets every account pull the placeholder, but only the administrator push it", async () => {
    const placeholder = "rdev-infra/placeholder";
    const accounts: Holder[] = [project("push"), project("pull"), { kind: "shared" }];
    for (const holder of accounts) assert.equal(await may(holder, placeholder), "pull");
    assert.equal(await may({ kind: "administrator" }, placeholder), "pull,push,delete");
    assert.equal(await may(project("pull"), "rdev-infra/placeholder/x"), "");
  });

  it("grants the administrator everything, including the catalog", async () => {
    const administrator: Holder = { kind: "administrator" };
    assert.equal(await may(administrator, "rdev-infra/marks/my-app"), "pull,push,delete");
    assert.equal(await may(administrator, "catalog", "registry"), "*");
  });

  it("lets the shared account push to and pull from every repository except the marks", async () => {
    assert.equal(await may({ kind: "shared" }, "team/neighbour"), "pull,push");
    assert.equal(await may({ kind: "shared" }, "rdev-infra/marks/team/my-app"), "");
    assert.equal(await may({ kind: "shared" }, "catalog", "registry"), "");
  });
});

describe("parseScopes", () => {
  it("reads the scopes of one text or several", () => {
    const my = { type: "repository", name: "team/my-app", actions: ["pull", "push"] };
    const catalog = { type: "registry", name: "catalog", actions: ["*"] };
    assert.deepEqual(parseScopes(["repository:team/my-app:pull,push registry:catalog:*"]), [
      my,
      catalog,
    ]);
    assert.deepEqual(parseScopes(["repository(plugin):team/my-app:pull,push", ""]), [my]);
    assert.deepEqual(parseScopes([]), []);
  });

  it("refuses malformed scopes, all in one error, and too many scopes", () => {
    const { message } = thrown("RDEV_REQUEST", () => parseScopes(["repository", "a:b:c:d"]));
    for (const text of ['"repository"', '"a:b:c:d"', "repository:my-app:pull,push"]) {
      assert.ok(message.includes(text), message);
    }
    const many = Array.from({ length: 17 }, () => "repository:a:pull");
    assert.match(thrown("RDEV_REQUEST", () => parseScopes(many)).message, /17 scopes; at most 16/);
  });
});
