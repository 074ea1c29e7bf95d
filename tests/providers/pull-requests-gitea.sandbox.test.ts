import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { request } from "undici";
import { ReportComment } from "../../automation/previews/comment.ts";
import type { StackPreview } from "../../core/previews/model.ts";
import { makeReport } from "../../core/previews/report.ts";
import { GiteaPullRequests } from "../../providers/gitea/pull-requests.ts";
import type { Comment } from "../../providers/pull-requests.ts";
import { until } from "../../sandbox/process.ts";
import { itKeepsOneComment } from "../support/pull-requests-suite.ts";
import { variable } from "../support/variables.ts";

interface Commit {
  readonly commit: { readonly sha: string };
}

describe("a pull request on Gitea", function () {
  this.timeout(400_000);

  const suffix = randomBytes(4).toString("hex");
  const password = randomBytes(12).toString("hex");
  /** The last one must not comment, because Gitea notifies commenters of every later comment. */
  const [bot, other, silent] = [`bot-${suffix}`, `other-${suffix}`, `silent-${suffix}`];
  const authorization = () => `token ${variable("GITEA_TOKEN")}`;
  const tokens: Record<"write" | "read" | "other" | "inbox", string> = {
    write: "",
    read: "",
    other: "",
    inbox: "",
  };
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
    await Promise.all([bot, other, silent].map(makeAccount));
    tokens.write = await makeToken(bot, "write:issue", "write:repository"); // the scopes in docs/previews.md
    tokens.read = await makeToken(bot, "read:issue", "read:repository");
    tokens.other = await makeToken(other, "write:issue");
    tokens.inbox = await makeToken(silent, "read:notification");
    const made = await call<{ full_name: string }>("POST", "/user/repos", {
      name: `pulls-${suffix}`,
      auto_init: true,
      default_branch: "main",
    });
    [owner = "", name = ""] = made.full_name.split("/");
    await call("PUT", `${repository()}/collaborators/${bot}`, { permission: "write" });
  });
  after(async () => {
    await call("DELETE", repository());
    for (const account of [bot, other, silent])
      await call("DELETE", `/admin/users/${account}?purge=true`);
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

  it("shows Markdown, HTML and mentions in names literally, and notifies nobody", async () => {
    await open();
    const adapter = pulls(variable("GITEA_URL"), tokens.write);
    const nasty = `@${silent} <img src=x> [a](http://b.test) #1 **bold** ${"a".repeat(40)} :tada:`;
    const failed: StackPreview = {
      stack: `staging.@${silent}`,
      result: "failed",
      durationMs: 1,
      unchanged: 0,
      changes: [],
      findings: [],
      errors: [{ message: nasty }],
    };
    const report = makeReport({ stacks: [failed], selection: nasty, durationMs: 1 });
    const commit = await adapter.head();
    await new ReportComment(adapter, { commit, settle: 1 }).finish(report);
    const [comment] = await adapter.comments();
    const { statusCode, body: answer } = await request(`${variable("GITEA_URL")}/api/v1/markdown`, {
      method: "POST",
      headers: { authorization: authorization(), "content-type": "application/json" },
      body: JSON.stringify({ Text: comment?.body, Mode: "comment", Context: `${owner}/${name}` }),
    });
    const html = await answer.text();
    assert.equal(statusCode, 200, html);
    assert.match(
      html,
      new RegExp(`<code>@${silent} &lt;img src=x&gt; \\[a\\]\\(http://b.test\\) #1`),
    );
    assert.doesNotMatch(html, /<(a|img|strong|script)\b/);

    // A real mention does notify, which proves that Gitea has processed the earlier comments.
    const said = number;
    await open();
    await pulls(variable("GITEA_URL"), tokens.write).post(`@${silent}, look here`);
    type Thread = { subject: { url: string } };
    const threads = () =>
      call<Thread[]>("GET", "/notifications", undefined, `token ${tokens.inbox}`);
    let found: Thread[] = [];
    await until(async () => assert.notDeepEqual((found = await threads()), []));
    assert.deepEqual(
      found.map(({ subject }) => subject.url.split("/").at(-1)),
      [String(number)],
    );
    assert.notEqual(number, said);
  });
});
