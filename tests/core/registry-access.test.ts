import assert from "node:assert/strict";
import { granted, type Holder, parseScopes } from "../../core/registry-access.ts";
import { thrown } from "../support/errors.ts";

const ALL = ["pull", "push", "delete", "*"];

/** Two projects of staging below a path, and one of prod. */
const MARKS: Readonly<Record<string, { platform: string; slug: string }>> = {
  "team/my-app": { platform: "staging", slug: "my-app" },
  "team/neighbour": { platform: "staging", slug: "neighbour" },
  "prod/my-app": { platform: "prod", slug: "my-app" },
  // Somebody marked these for the wrong project.
  "team/other": { platform: "staging", slug: "my-app" },
};

function may(holder: Holder, name: string, type = "repository"): Promise<string> {
  const scope = { type, name, actions: ALL };
  const given = granted(holder, scope, (path) => Promise.resolve(MARKS[path]));
  return given.then((access) => access?.actions.join(",") ?? "");
}

const project = (kind: "push" | "pull"): Holder => ({
  kind: "project",
  account: { platform: "staging", slug: "my-app", kind, version: 1 },
});

describe("access to the registry", () => {
  it("is for a project's account to its own repository, without deletes", async () => {
    assert.equal(await may(project("push"), "team/my-app"), "pull,push");
    assert.equal(await may(project("pull"), "team/my-app"), "pull");
  });

  it("is for a project's account to nothing else", async () => {
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

  it("is for the administrator to everything, the catalog included", async () => {
    const administrator: Holder = { kind: "administrator" };
    assert.equal(await may(administrator, "rdev-infra/marks/my-app"), "pull,push,delete");
    assert.equal(await may(administrator, "catalog", "registry"), "*");
  });

  it("is for the shared account to every repository but the marks, without deletes", async () => {
    assert.equal(await may({ kind: "shared" }, "team/neighbour"), "pull,push");
    assert.equal(await may({ kind: "shared" }, "rdev-infra/marks/team/my-app"), "");
    assert.equal(await may({ kind: "shared" }, "catalog", "registry"), "");
  });
});

describe("the scopes of a token", () => {
  it("are read from one text or several", () => {
    const my = { type: "repository", name: "team/my-app", actions: ["pull", "push"] };
    const catalog = { type: "registry", name: "catalog", actions: ["*"] };
    assert.deepEqual(parseScopes(["repository:team/my-app:pull,push registry:catalog:*"]), [
      my,
      catalog,
    ]);
    assert.deepEqual(parseScopes(["repository(plugin):team/my-app:pull,push", ""]), [my]);
    assert.deepEqual(parseScopes([]), []);
  });

  it("are refused where they are malformed, all at once, or too many", () => {
    const { message } = thrown("RDEV_REQUEST", () => parseScopes(["repository", "a:b:c:d"]));
    for (const text of ['"repository"', '"a:b:c:d"', "repository:my-app:pull,push"]) {
      assert.ok(message.includes(text), message);
    }
    const many = Array.from({ length: 17 }, () => "repository:a:pull");
    assert.match(thrown("RDEV_REQUEST", () => parseScopes(many)).message, /17 scopes; at most 16/);
  });
});
