// Uses a small local server that follows GitHub's documentation.
import assert from "node:assert/strict";
import { requireApproval } from "../../automation/previews/approval.ts";
import { GithubPullRequests } from "../../providers/github/pull-requests.ts";
import { type FakeGithub, type GithubReview, startGithub } from "../support/github.ts";
import { itKeepsOneComment } from "../support/pull-requests-suite.ts";
import { rejected } from "../support/errors.ts";

const [BOT, READER] = ["token-of-the-bot", "token-of-a-reader"];
const PLACE = { owner: "acme", repository: "infra", number: 7 };

describe("a pull request on GitHub", function () {
  this.timeout(400_000);

  let github: FakeGithub;
  let commits = 0;
  const commit = () => (commits += 1).toString(16).padStart(40, "0");
  const pulls = (url = github.url, token = BOT) => new GithubPullRequests({ ...PLACE, url, token });

  before(async () => {
    github = await startGithub({
      [BOT]: { login: "github-actions[bot]", mayWrite: true },
      [READER]: { login: "github-actions[bot]", mayWrite: false },
    });
  });
  after(() => github.close());
  beforeEach(() => {
    github.comments = [];
    github.head = commit();
  });
  afterEach(() => github.misbehave(undefined));

  itKeepsOneComment({
    url: () => github.url,
    pulls,
    token: () => BOT,
    tokenToRead: () => READER,
    credential: "GITHUB_TOKEN",
    open: async () => undefined,
    comments: async () =>
      github.comments.map(({ id, body, user }) => ({ id, body, author: user.login })),
    addByOther: async (body) => void github.add("mallory", body),
    async edit(id, body) {
      github.comments = github.comments.map((each) => (each.id === id ? { ...each, body } : each));
    },
    async remove(id) {
      github.comments = github.comments.filter((each) => each.id !== id);
    },
    forcePush: async () => (github.head = commit()),
    async status(sha) {
      const last = github.statuses.findLast((each) => each.sha === sha);
      assert.ok(last);
      return { state: last.state, description: last.description };
    },
  });

  it("is approved by the latest verdict of a person with write access, on any page", async () => {
    const { head } = github;
    const user = (login: string, type = "User") => ({ login, type });
    const review = (id: number, login: string, state: string, commit_id = head) => ({
      id,
      user: user(login),
      state,
      commit_id,
    });
    const approval = () => requireApproval(pulls());
    github.permissions = { ada: "write", root: "admin", reader: "read" };
    for (const [reviews, why] of [
      [[], /nobody has reviewed it/],
      [[review(1, "reader", "APPROVED")], /reader may not write/],
      [[review(1, "stranger", "APPROVED")], /stranger may not write/],
      [[review(1, "mallory", "APPROVED")], /mallory is its author/],
      [
        [review(1, "ada", "APPROVED", "f".repeat(40))],
        /ada approved another commit \(ffffffffff\)/,
      ],
      [[review(1, "ada", "DISMISSED")], /ada has a review that was dismissed/],
      [[review(2, "ada", "CHANGES_REQUESTED"), review(1, "ada", "APPROVED")], /asks for changes/],
      [[{ ...review(1, "ada", "APPROVED"), user: user("ada", "Bot") }], /ada is not a person/],
      [[{ ...review(1, "ada", "APPROVED"), user: null }], /nobody has reviewed it/],
    ] satisfies [GithubReview[], RegExp][]) {
      github.reviews = reviews;
      assert.equal((await rejected(approval(), why)).name, "RDEV_APPROVAL");
    }
    const noise = Array.from({ length: 150 }, (_, id) => review(id, "mallory", "COMMENTED"));
    github.reviews = [...noise, review(151, "root", "APPROVED")];
    assert.deepEqual(await approval(), { commit: head, base: "main", by: "root" });
    assert.match(github.statuses.at(-1)?.description ?? "", /approved by root/);
  });

  it("waits after a 403 that asks to slow down", async () => {
    const headers = { "retry-after": "1" };
    const { id } = await pulls().post("mine");
    github.misbehave({ match: { method: "PATCH" }, status: 403, headers, times: 1 });
    assert.equal(await pulls().edit(id, "mine still"), true);
    assert.equal(github.comments.length, 1);
  });

  it("reports a rate limit that lasts too long", async () => {
    const reset = Math.ceil(Date.now() / 1000) + 1_800;
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(reset) };
    github.misbehave({ status: 403, headers });
    const { name } = await rejected(pulls().comments(), /It asks to wait 1[78]\d\d/);
    assert.equal(name, "RDEV_RATE_LIMITED");
  });

  it("reads comments without a text, and of deleted accounts", async () => {
    const body = JSON.stringify([{ id: 1, body: null, user: null }]);
    github.misbehave({ status: 200, body, headers: { "content-type": "application/json" } });
    assert.deepEqual(await pulls().comments(), [{ id: 1, body: "", author: undefined }]);
  });
});
