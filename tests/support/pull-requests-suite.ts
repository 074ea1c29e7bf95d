import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { ReportComment } from "../../automation/previews/comment.ts";
import { readMarker, reportBody } from "../../core/previews/comment.ts";
import type { StackPreview } from "../../core/previews/model.ts";
import { makeReport } from "../../core/previews/report.ts";
import type { Comment, PullRequests } from "../../providers/pull-requests.ts";
import { startFaultyProxy } from "./faulty-proxy.ts";
import { rejected } from "./errors.ts";

/** Direct access to a host of pull requests, without the adapter. It has one open pull request. */
export interface PullRequestHost {
  /** Without a trailing slash. */
  url(): string;
  /** Creates the adapter for a token and an address. */
  pulls(url: string, token: string): PullRequests;
  /** A token that may comment and set a status. */
  token(): string;
  /** A token that may only read. */
  tokenToRead(): string;
  /** The variable named in errors about the token. */
  readonly credential: string;
  /** Opens another pull request. */
  open(): Promise<void>;
  /** All comments, oldest first. */
  comments(): Promise<Comment[]>;
  /** Adds a comment by another account, which may only comment. */
  addByOther(body: string): Promise<void>;
  edit(id: number, body: string): Promise<void>;
  remove(id: number): Promise<void>;
  /** Replaces the branch's commit, and returns the new one. */
  forcePush(): Promise<string>;
  /** Our status on a commit. */
  status(commit: string): Promise<{ readonly state: string; readonly description: string }>;
}

/** In ms. Long enough for the other of two concurrent runs. */
const SETTLE = 150;

const report = (selection: string, stacks: readonly StackPreview[] = []) =>
  makeReport({ stacks, selection, durationMs: 0 });

/** Declares the tests of the report's comment for one host. */
export function itKeepsOneComment(host: PullRequestHost): void {
  let pulls: PullRequests;
  let commit: string;
  const run = (adapter = pulls, of = commit) =>
    new ReportComment(adapter, { commit: of, settle: SETTLE });
  const ours = async () => (await host.comments()).filter(({ body }) => readMarker(body));
  const only = async () => {
    const [comment, ...others] = await ours();
    assert.ok(comment, "there is none");
    assert.deepEqual(others, []);
    return comment;
  };

  beforeEach(async () => {
    await host.open();
    pulls = host.pulls(host.url(), host.token());
    commit = await pulls.head();
  });

  it("finds its comment on a later page, edits it, and sets the status", async () => {
    for (let index = 0; index < 101; index += 1) await pulls.post(`a word ${index}`);
    const first = run();
    await first.begin();
    const { id, body } = await only();
    assert.match(body, /is being previewed/);
    assert.equal((await host.status(commit)).state, "pending");
    await first.finish(report("one"));
    await run().finish(report("two"));
    const after = await only();
    assert.equal(after.id, id);
    assert.match(after.body, /<code>two<\/code>/);
    assert.deepEqual(await host.status(commit), {
      state: "success",
      description: "no changes in 0 stacks",
    });
    assert.equal((await host.comments()).length, 102);
  });

  it("recreates its comment if it was deleted, and overwrites edits by others", async () => {
    const first = run();
    await first.begin();
    await host.remove((await only()).id);
    await first.finish(report("again"));
    const { id, body } = await only();
    assert.match(body, /<code>again<\/code>/);
    await host.edit(id, `${body}\n\nby hand`);
    await run().finish(report("once more"));
    const after = await only();
    assert.equal(after.id, id);
    assert.doesNotMatch(after.body, /by hand/);
  });

  it("leaves only the comment of the later of two concurrent runs", async () => {
    const runs = [run()];
    const begin = Date.now();
    // The runs are distinguished by their time in ms.
    while (Date.now() === begin) await new Promise((resolve) => setImmediate(resolve));
    runs.push(run());
    await Promise.all(runs.map((each) => each.begin()));
    await Promise.all(runs.map((each, index) => each.finish(report(`run${index}`))));
    assert.match((await only()).body, /<code>run1<\/code>/);
  });

  it("marks it as outdated after a force-push, until the new commit is previewed", async () => {
    const old = run();
    await old.begin();
    const pushed = await host.forcePush();
    assert.notEqual(pushed, commit);
    await old.finish(report("old"));
    const { id, body } = await only();
    assert.match(body, /\*\*Outdated\*\*[^]*<code>old<\/code>/);
    await run(pulls, pushed).finish(report("new"));
    const after = await only();
    assert.equal(after.id, id);
    assert.doesNotMatch(after.body, /Outdated|old/);
  });

  it("ignores comments of other accounts, even with its marker", async () => {
    const copied = reportBody({ commit, run: "z".repeat(40) }, "mine", commit);
    await host.addByOther(copied);
    const first = run();
    await first.begin();
    await first.finish(report("x"));
    const [theirs, comment, ...others] = await ours();
    assert.equal(theirs?.body, copied);
    assert.match(comment?.body ?? "", /<code>x<\/code>/);
    assert.deepEqual(others, []);
  });

  it("names a token that may not comment", async () => {
    const reader = host.pulls(host.url(), host.tokenToRead());
    const { message } = await rejected(run(reader).finish(report("x")), /may|does not let/);
    assert.ok(message.includes(host.credential), message);
    await assert.rejects(run(reader).finish(report("x")), { code: "RDEV_FORBIDDEN" });
    assert.deepEqual(await ours(), []);
  });

  it("names a wrong token without its value", async () => {
    const wrong = randomBytes(20).toString("hex");
    const failed = run(host.pulls(host.url(), wrong)).finish(report("x"));
    const { name, message } = await rejected(failed, new RegExp(host.credential));
    assert.equal(name, "RDEV_UNAUTHORIZED");
    assert.doesNotMatch(message, new RegExp(wrong));
  });

  it("leaves one comment if the host sometimes answers 502 or not at all", async () => {
    const proxy = await startFaultyProxy(host.url());
    try {
      // Requests that succeed but are never answered: creating or editing the comment, and the status.
      const toLose = [/^POST .*\/comments$/, /^PATCH /, /^POST .*\/statuses\//];
      let count = 0;
      proxy.decide((request) => {
        count += 1;
        if (count % 5 === 1) return { status: 502 };
        const index = toLose.findIndex((pattern) => pattern.test(request));
        if (index >= 0) toLose.splice(index, 1);
        return index >= 0 ? "lost" : undefined;
      });
      const first = run(host.pulls(proxy.url, host.token()));
      await first.begin();
      await first.finish(report("x"));
      assert.deepEqual(toLose, []);
    } finally {
      await proxy.close();
    }
    assert.match((await only()).body, /<code>x<\/code>/);
    assert.equal((await host.status(commit)).state, "success");
  });

  it("reports the error if the host always answers 502", async () => {
    const proxy = await startFaultyProxy(host.url());
    try {
      proxy.misbehave({ status: 502 });
      const unreachable = host.pulls(proxy.url, host.token()).comments();
      await rejected(unreachable, /answered GET .* with 502/);
    } finally {
      await proxy.close();
    }
  });

  it("stays within the host's limit with 500 stacks that have long diffs", async () => {
    const long = "x".repeat(20_000); // 10 MB in total
    const stacks = Array.from({ length: 500 }, (_, index) => changed(index, `${index}${long}`));
    await run().finish(report("many", stacks));
    const { body } = await only();
    assert.ok(body.length > pulls.maxComment / 2 && body.length <= pulls.maxComment);
    assert.match(body, /more groups of changes, of \d+ stacks, are left out here/);
  });
}

function changed(index: number, value: string): StackPreview {
  const type = "kubernetes:core/v1:ConfigMap";
  const stack = `staging.app-${index}`;
  const urn = `urn:pulumi:${stack}::rdev::${type}::app-${index}`;
  const property = {
    path: "data.x",
    kind: "update",
    replaces: false,
    old: "",
    new: value,
  } as const;
  return {
    stack,
    result: "succeeded",
    durationMs: 1,
    unchanged: 0,
    findings: [],
    errors: [],
    changes: [{ op: "update", urn, type, name: "app", properties: [property], moreProperties: 0 }],
  };
}
