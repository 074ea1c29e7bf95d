import assert from "node:assert/strict";
import { ReportComment } from "../../../automation/previews/comment.ts";
import { InfraError } from "../../../core/errors.ts";
import { makeReport } from "../../../core/previews/report.ts";
import type { Comment, CommitStatus, PullRequests } from "../../../providers/pull-requests.ts";

const [FIRST, SECOND] = ["a".repeat(40), "b".repeat(40)];

/** A pull request in memory whose calls can fail. */
class Pull implements PullRequests {
  readonly maxComment = 65_536;
  branch = FIRST;
  list: Comment[] = [];
  readonly statuses: (CommitStatus & { commit: string })[] = [];
  /** How many of the next calls answer with 502 after they did their work. */
  failures = 0;
  forbidden = false;
  #id = 0;

  head = () => this.#answer(() => this.branch);
  comments = () => this.#answer(() => [...this.list]);
  post = (body: string) =>
    this.#answer(() => {
      if (this.forbidden) throw new InfraError("RDEV_FORBIDDEN", "no", { status: 403 });
      const made = { id: (this.#id += 1), body, author: "bot" };
      this.list.push(made);
      return made;
    });
  edit = (id: number, body: string) =>
    this.#answer(() => {
      const found = this.list.some((each) => each.id === id);
      this.list = this.list.map((each) => (each.id === id ? { ...each, body } : each));
      return found;
    });
  remove = (id: number) =>
    this.#answer(() => {
      this.list = this.list.filter((each) => each.id !== id);
      return true;
    });
  setStatus = (commit: string, status: CommitStatus) =>
    this.#answer(() => {
      this.statuses.push({ commit, ...status });
      return "bot";
    });

  async #answer<T>(work: () => T): Promise<T> {
    const result = work();
    await Promise.resolve();
    if (this.failures > 0) {
      this.failures -= 1;
      throw new InfraError("RDEV_UNREACHABLE", "502", { status: 502 });
    }
    return result;
  }
}

const run = (pull: Pull, commit: string) => new ReportComment(pull, { commit, settle: 5 });
const report = (selection: string) =>
  makeReport({ stacks: [], selection, durationMs: 0, commit: FIRST });

describe("ReportComment", () => {
  let pull: Pull;
  beforeEach(() => (pull = new Pull()));
  const only = () => {
    assert.equal(pull.list.length, 1);
    return pull.list[0]!.body;
  };

  it("edits one comment in place, and keeps the old report until the new one is ready", async () => {
    const first = run(pull, FIRST);
    await first.begin();
    assert.match(only(), /is being previewed/);
    await first.finish(report("one"));
    assert.match(only(), /<code>one<\/code>/);
    pull.branch = SECOND;
    const second = run(pull, SECOND);
    await second.begin();
    assert.match(
      only(),
      /being previewed[^]*below is the preview of <code>a+[^]*<code>one<\/code>/,
    );
    await second.finish(report("two"));
    assert.doesNotMatch(only(), /being previewed|Outdated|one/);
    assert.deepEqual(
      pull.statuses.map(({ commit, state }) => [commit[0], state]),
      [
        ["a", "pending"],
        ["a", "success"],
        ["b", "pending"],
        ["b", "success"],
      ],
    );
  });

  it("shows the report of the newest commit, whichever run ends last", async () => {
    const [old, next] = [run(pull, FIRST), run(pull, SECOND)];
    await old.begin();
    pull.branch = SECOND;
    await next.begin();
    await next.finish(report("new"));
    await old.finish(report("old"));
    assert.match(only(), /<code>new<\/code>/);
  });

  it("marks the report as outdated after a push that is not previewed yet", async () => {
    const old = run(pull, FIRST);
    await old.begin();
    pull.branch = SECOND;
    await old.finish(report("old"));
    assert.match(only(), /\*\*Outdated\*\*[^]*<code>old<\/code>/);
  });

  it("keeps one comment, of the later run, if two runs of a commit overlap", async () => {
    const runs = [run(pull, FIRST)];
    await new Promise((resolve) => setTimeout(resolve, 2)); // runs are ordered by their start in ms
    runs.push(run(pull, FIRST));
    await Promise.all(runs.map((each) => each.begin()));
    await Promise.all(runs.map((each, index) => each.finish(report(`run${index}`))));
    assert.match(only(), /<code>run1<\/code>/);
  });

  it("restores a deleted comment, and overwrites edits by hand", async () => {
    const first = run(pull, FIRST);
    await first.begin();
    pull.list = [];
    await first.finish(report("again"));
    assert.match(only(), /again/);
    pull.list = pull.list.map((each) => ({ ...each, body: `${each.body}\r\nby hand` }));
    await first.finish(report("once more"));
    assert.doesNotMatch(only(), /by hand/);
  });

  it("replaces the pending notice with the reason why there is no report", async () => {
    const first = run(pull, FIRST);
    await first.begin();
    await first.abandon("RDEV_ENGINE: <no> @backend");
    assert.match(
      only(),
      /No preview[^]*<code>RDEV&#95;ENGINE&#58; &#60;no&#62; &#64;backend<\/code>/,
    );
    assert.doesNotMatch(only(), /being previewed/);
    assert.equal(pull.statuses.at(-1)?.state, "failure");
  });

  it("still comments if the token may not set the status, and then reports that", async () => {
    pull.setStatus = () => Promise.reject(new InfraError("RDEV_FORBIDDEN", "no status"));
    const first = run(pull, FIRST);
    await assert.rejects(first.begin(), { code: "RDEV_FORBIDDEN" });
    assert.match(only(), /is being previewed/);
    await assert.rejects(first.finish(report("x")), { message: "no status" });
    assert.match(only(), /<code>x<\/code>/);
  });

  it("leaves the comments of other accounts alone", async () => {
    await pull.post("looks good");
    await run(pull, FIRST).finish(report("x"));
    assert.equal(pull.list[0]?.body, "looks good");
    assert.equal(pull.list.length, 2);
  });

  it("posts one comment even if the host answers 502 after the work is done", async () => {
    pull.failures = 4;
    await run(pull, FIRST).finish(report("x"));
    assert.match(only(), /<code>x<\/code>/);
  });

  it("still sets the status if the token may not comment, and then reports that", async () => {
    pull.forbidden = true;
    await assert.rejects(run(pull, FIRST).finish(report("x")), { code: "RDEV_FORBIDDEN" });
    assert.equal(pull.statuses.length, 1);
  });
});
