import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PostgresAuditLog } from "../../../automation/audit/log.ts";
import { Previewer } from "../../../automation/previews/previewer.ts";
import { storeDelivery } from "../../../automation/previews/requests.ts";
import { InfraError } from "../../../core/errors.ts";
import { eventsOf } from "../../../core/previews/forge-event.ts";
import type { Review } from "../../../core/previews/approval.ts";
import { makeReport } from "../../../core/previews/report.ts";
import type {
  ApprovalHost,
  Comment,
  CommitStatus,
  PullRequests,
} from "../../../providers/pull-requests.ts";
import { until } from "../../../sandbox/process.ts";
import { comment, pullRequest } from "../../support/forge-payloads.ts";
import { migratedStore } from "../../support/migrated-store.ts";

const [FIRST, SECOND] = ["a".repeat(40), "b".repeat(40)];
const SELF = "infra-bot";

/** The pull request #7 of mallory, on which ada and mallory may write. */
class Host implements PullRequests, ApprovalHost {
  readonly maxComment = 65_536;
  branch = FIRST;
  isOpen = true;
  list: Comment[] = [];
  statuses: (CommitStatus & { commit: string })[] = [];
  given: Review[] = [];

  merged: string | undefined;
  defaultBranch = "main";
  pull = async () => ({
    isOpen: this.isOpen,
    head: this.branch,
    base: "main",
    author: "mallory",
    merged: this.merged,
    defaultBranch: this.defaultBranch,
  });
  head = async () => this.branch;
  reviews = async () => this.given;
  mayWrite = async (account: string) => ["ada", "mallory", SELF].includes(account);
  comments = async () => [...this.list];
  post = async (body: string) => {
    const made = { id: this.list.length + 1, body, author: SELF };
    this.list.push(made);
    return made;
  };
  edit = async (id: number, body: string) => {
    this.list = this.list.map((each) => (each.id === id ? { ...each, body } : each));
    return true;
  };
  remove = async () => true;
  setStatus = async (commit: string, status: CommitStatus) => {
    this.statuses.push({ commit, ...status });
    return SELF;
  };

  get text(): string {
    return this.list.map(({ body }) => body).join("\n");
  }
}

describe("previews by the service", function () {
  this.timeout(60_000);
  const test = migratedStore("forge_deliveries", "pull_request_heads", "preview_requests");
  let host: Host;
  let previewed: { number: number; commit: string; base: string }[];
  /** The merged commits whose rollout was asked for. */
  let asked: object[];
  let onMerge: boolean;
  let warnings: string[];
  let failure: Error | undefined;
  let isLink: boolean;
  let folder: string;
  let stop: AbortController;
  let running: Promise<void>;

  before(async () => void (folder = await mkdtemp(join(tmpdir(), "rdev-previewer-"))));
  after(() => rm(folder, { recursive: true }));
  beforeEach(() => {
    host = new Host();
    previewed = [];
    asked = [];
    onMerge = false;
    warnings = [];
    failure = undefined;
    isLink = false;
    stop = new AbortController();
    const note = (_fields: object, text: string) => void warnings.push(text);
    running = new Previewer({
      store: test.store(),
      audit: new PostgresAuditLog(test.store()),
      host: () => host,
      preview: async (pull, use) => {
        previewed.push(pull);
        if (failure) throw failure;
        const { commit } = pull;
        const file = join(folder, `${commit}.json`);
        const report = makeReport({ stacks: [], selection: "all", durationMs: 1, commit });
        await writeFile(file, JSON.stringify(report));
        if (!isLink) return use(file);
        await symlink(file, `${file}.link`);
        return use(`${file}.link`);
      },
      rollout: async ({ id, ...merged }) => {
        assert.match(id, /^[0-9a-f-]{36}$/);
        asked.push(merged);
        if (failure) throw failure;
        return "the answer";
      },
      get rolloutOnMerge() {
        return onMerge;
      },
      log: { info: note, warn: note, error: note },
      poll: 20,
      retry: 100,
      settle: 5,
    }).run(stop.signal);
  });
  afterEach(async () => {
    stop.abort();
    await running;
  });

  const receive = (body: string) =>
    storeDelivery(test.store(), Buffer.from(body), eventsOf(JSON.parse(body)));
  /** So many seconds before now. */
  const ago = (seconds: number) => new Date(Date.now() - seconds * 1000);
  const done = () =>
    until(async () => assert.deepEqual(await test.admin("SELECT FROM preview_requests"), []));
  const approval = (more: Partial<Review> = {}): Review => ({
    id: 1,
    reviewer: "ada",
    isPerson: true,
    verdict: "approved",
    commit: FIRST,
    isDismissed: false,
    isOfficial: true,
    ...more,
  });

  it("preview the commit that the branch had when a person with write access asked", async () => {
    await receive(pullRequest({ head: FIRST, at: ago(60) }));
    await receive(comment({ body: "/preview", by: "ada", at: ago(30) }));
    await done();
    assert.deepEqual(previewed, [{ number: 7, commit: FIRST, base: "main" }]);
    assert.match(host.text, /<code>all<\/code>/);
    assert.equal(host.statuses.at(-1)?.state, "success");
    const [event] = await test.admin(`
      SELECT actor, details FROM audit_log WHERE action = 'preview.run' AND result = 'success'
      ORDER BY id DESC LIMIT 1`);
    assert.equal(event?.["actor"], "ada");
    assert.equal((event?.["details"] as { commit: string }).commit, FIRST);
  });

  it("preview the commit of an approving review, after the host has confirmed it", async () => {
    const body = pullRequest({ head: FIRST, review: { state: "approved", commit_id: FIRST } });
    await receive(body);
    await done();
    assert.deepEqual(previewed, []);
    assert.match(warnings.join(), /nobody has reviewed it/);
    host.given = [approval()];
    await receive(`${body} `);
    await done();
    assert.deepEqual(previewed, [{ number: 7, commit: FIRST, base: "main" }]);
  });

  it("refuse a commit after a force-push between request and preview, and preview no other", async () => {
    await receive(pullRequest({ head: FIRST, at: ago(60) }));
    host.branch = SECOND;
    await receive(comment({ body: "/preview", by: "ada", at: ago(30) }));
    await done();
    await receive(comment({ body: `/preview ${FIRST}`, by: "ada", at: ago(20) }));
    await done();
    host.given = [approval()];
    await receive(pullRequest({ head: FIRST, review: { state: "approved", commit_id: FIRST } }));
    await done();
    assert.deepEqual(previewed, []);
    assert.match(host.text, /No preview of aaaaaaaaaa: its branch is at bbbbbbbbbb now/);
  });

  it("preview no commit that was pushed away and back while the person asked", async () => {
    await receive(pullRequest({ head: FIRST, at: ago(60) }));
    await receive(pullRequest({ head: SECOND, at: ago(40) }));
    await receive(comment({ body: "/preview", by: "ada", at: ago(30) }));
    await receive(pullRequest({ head: FIRST, at: ago(20) }));
    await done();
    assert.deepEqual(previewed, []);
    assert.match(host.text, /No preview of bbbbbbbbbb/);
  });

  it("preview no commit that was pushed in the second in which the person asked", async () => {
    const at = ago(30);
    await receive(pullRequest({ head: FIRST, at: ago(60) }));
    await receive(pullRequest({ head: SECOND, at }));
    host.branch = SECOND;
    await receive(comment({ body: "/preview", by: "ada", at }));
    await done();
    assert.deepEqual(previewed, []);
    assert.match(host.text, /No preview of aaaaaaaaaa: its branch is at bbbbbbbbbb now/);
  });

  it("wait for an event about the branch that arrives after the comment", async () => {
    await receive(comment({ body: "/preview", by: "ada", at: ago(30) }));
    await receive(pullRequest({ head: FIRST, at: ago(60) }));
    await done();
    assert.deepEqual(previewed, [{ number: 7, commit: FIRST, base: "main" }]);
  });

  it("ask for the commit if no event names it, or two commits in the same second", async () => {
    await receive(comment({ body: "/preview", by: "ada", at: ago(30) }));
    await done();
    assert.match(host.text, /does not know the commit/);
    const at = ago(60);
    await receive(pullRequest({ head: FIRST, at }));
    await receive(pullRequest({ head: SECOND, at }));
    await receive(comment({ body: "/preview", by: "ada", at: ago(20) }));
    await done();
    assert.deepEqual(previewed, []);
    await receive(comment({ body: `/preview ${FIRST}`, by: "ada", at: ago(10) }));
    await done();
    assert.deepEqual(previewed, [{ number: 7, commit: FIRST, base: "main" }]);
  });

  it("ignore readers, machines, the service's own account and old comments, without an answer", async () => {
    for (const [options, why] of [
      [{ by: "reader" }, /reader may not write/],
      [{ by: "ada", type: "Bot" }, /ada is not a person/],
      [{ by: SELF }, /infra-bot is the service's account/],
      [{ by: "ada", at: ago(3601) }, /asked more than an hour ago/],
    ] as const) {
      await receive(comment({ body: `/preview ${FIRST}`, ...options }));
      await done();
      assert.match(warnings.at(-1) ?? "", why);
    }
    assert.deepEqual([previewed, host.list], [[], []]);
  });

  it("refuse the author, and a pull request that is closed", async () => {
    await receive(comment({ body: `/preview ${FIRST}`, by: "mallory" }));
    await done();
    assert.match(host.text, /mallory is its author/);
    host.isOpen = false;
    await receive(comment({ body: `/preview ${FIRST}`, by: "ada" }));
    await done();
    assert.match(host.text, /the pull request is not open/);
    assert.deepEqual(previewed, []);
  });

  it("say in the comment why there is no preview", async () => {
    failure = new InfraError("RDEV_REFUSED", "The packages cannot be installed.");
    await receive(comment({ body: `/preview ${FIRST}`, by: "ada" }));
    await done();
    assert.match(host.text, /No preview[^]*The packages cannot be installed/);
    assert.equal(host.statuses.at(-1)?.state, "failure");
  });

  it("read no file to which the pull request's code has put a link", async () => {
    isLink = true;
    await receive(comment({ body: `/preview ${FIRST}`, by: "ada" }));
    await done();
    assert.match(host.text, /The preview wrote no report/);
    assert.equal(host.statuses.at(-1)?.state, "failure");
  });

  it("try again after the forge was too slow or refused too many requests", async () => {
    const codes = ["RDEV_DEADLINE", "RDEV_RATE_LIMITED", "RDEV_UNREACHABLE"] as const;
    const errors = codes.map((code) => new InfraError(code, "The forge is busy."));
    const { mayWrite } = host;
    host.mayWrite = async (account) => {
      const error = errors.shift();
      if (error) throw error;
      return mayWrite(account);
    };
    await receive(comment({ body: `/preview ${FIRST}`, by: "ada" }));
    await done();
    assert.deepEqual(previewed, [{ number: 7, commit: FIRST, base: "main" }]);
  });

  it("give up a request in which the service died again and again", async () => {
    host.given = [approval()];
    for (const [request, answer] of [
      [
        { kind: "approved", number: 7, commit: FIRST },
        /No preview: the service ended in the middle/,
      ],
      [{ kind: "merged", number: 7, by: "ada" }, /No rollout: the service ended in the middle/],
    ] as const) {
      await test.admin(`
        INSERT INTO preview_requests (id, request, attempts)
        VALUES ('${randomUUID()}', '${JSON.stringify(request)}', 5)`);
      await until(() => assert.match(host.text, answer));
    }
    await done();
    assert.deepEqual([previewed, asked], [[], []]);
  });

  it("ask for the rollout of a merged commit, if a person with write access asks", async () => {
    await receive(comment({ body: "/rollout", by: "ada" }));
    await done();
    assert.match(host.text, /No rollout: the pull request is not merged/);
    host.merged = SECOND;
    await receive(comment({ body: "/rollout", by: "reader", id: 2 }));
    await done();
    assert.deepEqual(asked, []);
    await receive(comment({ body: "/rollout", by: "ada", id: 3 }));
    await done();
    assert.deepEqual(asked, [{ number: 7, commit: SECOND, base: "main", by: "ada" }]);
    assert.match(host.text, /the answer/);
    failure = new InfraError("RDEV_REFUSED", "The commit is not one of this program.");
    await receive(comment({ body: "/rollout", by: "ada", id: 4 }));
    await done();
    assert.match(host.text, /No rollout of b+: [^]*is not one of this program/);
  });

  it("ask for the rollout of each merge only if the settings say so, and the host confirms it", async () => {
    const merged = pullRequest({ head: FIRST, mergedBy: "ada" });
    await receive(merged);
    await done();
    assert.deepEqual(host.list, []);
    onMerge = true;
    await receive(`${merged} `);
    await done();
    assert.match(host.text, /No rollout: the pull request is not merged/);
    host.merged = SECOND;
    await receive(`${merged}  `);
    await done();
    assert.deepEqual(asked, [{ number: 7, commit: SECOND, base: "main", by: "ada" }]);
  });

  it("ask for no rollout of what was merged into another branch than the default one", async () => {
    onMerge = true;
    host.merged = SECOND;
    host.defaultBranch = "trunk";
    await receive(pullRequest({ head: FIRST, mergedBy: "ada" }));
    await done();
    assert.deepEqual(host.list, []);
    await receive(comment({ body: "/rollout", by: "ada" }));
    await done();
    assert.match(
      host.text,
      /No rollout: it was merged into <code>main<.code>, not into <code>trunk<.code>/,
    );
    assert.deepEqual(asked, []);
  });
});
