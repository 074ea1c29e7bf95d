import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { request } from "undici";
import { GiteaPullRequests } from "../../providers/gitea/pull-requests.ts";
import type { Comment } from "../../providers/pull-requests.ts";
import { itKeepsOneComment } from "../support/pull-requests-suite.ts";
import { variable } from "../support/variables.ts";

interface Commit {
  readonly commit: { readonly sha: string };
}

describe("a pull request on Gitea", function () {
  this.timeout(120_000);

  const suffix = randomBytes(4).toString("hex");
  const password = randomBytes(12).toString("hex");
  const [bot, other] = [`bot-${suffix}`, `other-${suffix}`];
  const authorization = () => `token ${variable("GITEA_TOKEN")}`;
  const tokens: Record<"write" | "read" | "other", string> = { write: "", read: "", other: "" };
  let owner: string;
  let name: string;
  let number = 0;
  let branch: string;

  async function call<T>(method: string, path: string, json?: object, as = authorization()) {
    const { statusCode, body } = await request(`${variable("GITEA_URL")}/api/v1${path}`, {
      method: method as "GET",
      headers: { authorization: as, "content-type": "application/json" },
      ...(json && { body: JSON.stringify(json) }),
    });
    const text = await body.text();
    assert.ok(statusCode < 300, `${method} ${path}: ${statusCode} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }
  const repository = () => `/repos/${owner}/${name}`;
  const write = (file: string, more: object) =>
    call<Commit>("POST", `${repository()}/contents/${file}`, { content: "YQ==", ...more });

  async function makeAccount(username: string): Promise<void> {
    const email = `${username}@example.test`;
    const must_change_password = false;
    await call("POST", "/admin/users", { username, email, password, must_change_password });
  }
  async function makeToken(username: string, ...scopes: string[]): Promise<string> {
    const basic = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
    const json = { name: randomBytes(4).toString("hex"), scopes };
    return (await call<{ sha1: string }>("POST", `/users/${username}/tokens`, json, basic)).sha1;
  }

  before(async () => {
    await Promise.all([makeAccount(bot), makeAccount(other)]);
    tokens.write = await makeToken(bot, "write:issue", "write:repository"); // as docs/previews.md says
    tokens.read = await makeToken(bot, "read:issue", "read:repository");
    tokens.other = await makeToken(other, "write:issue");
    const made = await call<{ full_name: string }>("POST", "/user/repos", {
      ...{ name: `pulls-${suffix}`, auto_init: true, default_branch: "main" },
    });
    [owner = "", name = ""] = made.full_name.split("/");
    await call("PUT", `${repository()}/collaborators/${bot}`, { permission: "write" });
  });
  after(async () => {
    await call("DELETE", repository());
    for (const account of [bot, other]) await call("DELETE", `/admin/users/${account}?purge=true`);
  });

  const pulls = (url: string, token: string) =>
    new GiteaPullRequests({ url, token, owner, repository: name, number });
  const ofComment = (id: number) => `${repository()}/issues/comments/${id}`;

  async function open(): Promise<void> {
    branch = `topic-${randomBytes(4).toString("hex")}`;
    await write(`${branch}.txt`, { branch: "main", new_branch: branch });
    const draft = { title: "WIP: a draft", head: branch, base: "main" };
    number = (await call<{ number: number }>("POST", `${repository()}/pulls`, draft)).number;
  }

  itKeepsOneComment({
    url: () => variable("GITEA_URL"),
    pulls,
    token: () => tokens.write,
    tokenToRead: () => tokens.read,
    credential: "GITEA_COMMENT_TOKEN",
    open,
    async comments() {
      type Told = Omit<Comment, "author"> & { readonly user: { readonly login: string } };
      const told = await call<Told[]>("GET", `${repository()}/issues/${number}/comments`);
      return told.map(({ id, body, user }) => ({ id, body, author: user.login }));
    },
    async addByOther(body) {
      const path = `${repository()}/issues/${number}/comments`;
      await call("POST", path, { body }, `token ${tokens.other}`);
    },
    edit: (id, body) => call("PATCH", ofComment(id), { body }),
    remove: (id) => call("DELETE", ofComment(id)),
    async forcePush() {
      const path = `forced-${branch}.txt`;
      const made = await write(path, { branch: "main", new_branch: `new-${branch}` });
      const new_commit_id = made.commit.sha;
      const changed = { new_commit_id, force: true };
      await call("PUT", `${repository()}/branches/${branch}`, changed);
      return new_commit_id;
    },
    async status(commit) {
      type Told = { statuses: { status: string; context: string; description: string }[] };
      const { statuses } = await call<Told>("GET", `${repository()}/commits/${commit}/status`);
      const found = statuses.find(({ context }) => context === "rdev-infra/preview");
      assert.ok(found);
      return { state: found.status, description: found.description };
    },
  });
});
