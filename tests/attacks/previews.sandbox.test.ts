import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { parse } from "yaml";
import { makeReport } from "../../core/previews/report.ts";
import { runCli } from "../cli/run-cli.ts";
import { filesUnder, leaksIn, Secrets } from "../support/leaks.ts";
import { adminToken, GiteaPeople, type Person } from "../support/gitea-people.ts";
import { variable } from "../support/variables.ts";

const { call, ok } = GiteaPeople;
const APPROVED = { event: "APPROVED", body: "looks good" };

describe("a preview of a pull request's code with production credentials", function () {
  this.timeout(400_000);
  const people = new GiteaPeople();
  let [admin, ada, reader, author]: Person[] = [];
  let repository: string;
  let pull: { readonly number: number; readonly head: string; readonly branch: string };
  let folder: string;

  before(async () => {
    const scopes = ["write:repository", "write:issue"];
    admin = await people.add("admin", ...scopes);
    ada = await people.add("ada", ...scopes);
    reader = await people.add("reader", ...scopes);
    author = await people.add("author", ...scopes);
    const name = `infra-${randomBytes(4).toString("hex")}`;
    const made = await ok<{ full_name: string }>("POST", "/user/repos", adminToken(), {
      name,
      private: true,
      auto_init: true,
      default_branch: "main",
    });
    repository = `/repos/${made.full_name}`;
    await permit(admin, "admin");
    await permit(reader, "read");
    folder = await mkdtemp(join(tmpdir(), "rdev-approval-"));
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await ok("DELETE", repository, adminToken());
    await people.remove();
  });
  beforeEach(async () => {
    await permit(ada!, "write");
    await permit(author!, "write");
    pull = await opened();
  });

  const permit = (person: Person, permission: string) =>
    ok("PUT", `${repository}/collaborators/${person.name}`, adminToken(), { permission });
  const push = async (branch: string, from?: string) => {
    const json = from ? { branch: from, new_branch: branch } : { branch };
    const file = `${randomBytes(4).toString("hex")}.txt`;
    const path = `${repository}/contents/${file}`;
    const made = await ok<{ commit: { sha: string } }>("POST", path, author!.token, {
      content: "YQ==",
      ...json,
    });
    return made.commit.sha;
  };
  const opened = async () => {
    const branch = `topic-${randomBytes(4).toString("hex")}`;
    const head = await push(branch, "main");
    const json = { title: branch, head: branch, base: "main" };
    const made = await ok<{ number: number }>("POST", `${repository}/pulls`, author!.token, json);
    return { number: made.number, head, branch };
  };
  const reviews = () => `${repository}/pulls/${pull.number}/reviews`;
  const approve = (person: Person, more: object = {}) =>
    call<{ id: number; official: boolean; message?: string }>("POST", reviews(), person.token, {
      ...APPROVED,
      ...more,
    });
  const where = () => [
    "--forge=gitea",
    `--forge-url=${variable("GITEA_URL")}`,
    `--repository=${repository.slice("/repos/".length)}`,
    `--pull-request=${pull.number}`,
  ];
  const asked = (...more: string[]) =>
    runCli(["approval", ...where(), ...more], {
      variables: { GITEA_COMMENT_TOKEN: admin!.token, GITEA_TOKEN: undefined },
    });
  const refusedFor = async (why: RegExp, ...more: string[]) => {
    const { code, stdout, stderr } = await asked(...more);
    assert.equal(code, 6, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, /RDEV_APPROVAL/);
    assert.match(stderr, why);
  };
  const status = async (commit = pull.head) => {
    type Statuses = { statuses: { status: string; context: string; description: string }[] | null };
    const found = await ok<Statuses>("GET", `${repository}/commits/${commit}/status`, admin!.token);
    return found.statuses?.find(({ context }) => context === "rdev-infra/preview");
  };

  it("is refused before an approval, and the status says what is missing", async () => {
    await refusedFor(/nobody has reviewed it/);
    const { status: state, description } = (await status()) ?? {};
    assert.equal(state, "pending");
    assert.match(
      description ?? "",
      /waiting for a person with write access to approve [0-9a-f]{10}/,
    );
  });

  it("is refused after an approval by a reader", async () => {
    const { status: answer, body } = await approve(reader!);
    assert.deepEqual([answer, body.official], [200, false]); // Gitea accepts it
    await refusedFor(new RegExp(`${reader!.name} may not write`));
  });

  it("is refused after an approval by a reader who is on a branch's approval list", async () => {
    const rule = `${repository}/branch_protections`;
    await ok("POST", rule, adminToken(), {
      rule_name: "main",
      enable_approvals_whitelist: true,
      approvals_whitelist_username: [reader!.name],
    });
    try {
      assert.equal((await approve(reader!)).body.official, true);
      await refusedFor(new RegExp(`${reader!.name} may not write`));
    } finally {
      await ok("DELETE", `${rule}/main`, adminToken());
    }
  });

  it("is refused after the author's own approval, and after comments that look like one", async () => {
    const own = await approve(author!);
    assert.equal(own.status, 422);
    assert.match(own.body.message ?? "", /approve your own pull/);
    for (let index = 0; index < 55; index += 1) {
      await ok("POST", reviews(), author!.token, {
        event: "COMMENT",
        body: "APPROVED",
        commit_id: pull.head,
      });
    }
    await refusedFor(/nobody has reviewed it/);
    await approve(ada!); // must be found on the second page
    assert.equal((await asked()).code, 0);
  });

  it("is refused after an approval of an older commit", async () => {
    assert.equal((await approve(ada!)).status, 200);
    const newer = await push(pull.branch);
    await refusedFor(
      new RegExp(`${ada!.name} approved another commit \\(${pull.head.slice(0, 10)}`),
    );
    await refusedFor(/its branch is at/, "--commit", pull.head);
    assert.match((await status(newer))?.description ?? "", /^waiting for a person/);
  });

  it("is refused after an approval that was dismissed or withdrawn", async () => {
    const { body } = await approve(ada!);
    await ok("POST", `${reviews()}/${body.id}/dismissals`, adminToken(), { message: "no" });
    await refusedFor(/dismissed/);
    await approve(ada!);
    await approve(ada!, { event: "REQUEST_CHANGES" });
    await refusedFor(/asks for changes/);
  });

  it("is refused after an approval by someone who has since lost write access", async () => {
    await approve(ada!);
    await permit(ada!, "read");
    await refusedFor(new RegExp(`${ada!.name} may not write`));
  });

  it("is refused after an approval by the pipeline's own account", async () => {
    assert.equal((await approve(admin!)).status, 200);
    await refusedFor(/is the account that runs this check/);
  });

  it("is refused for a closed pull request", async () => {
    await approve(ada!);
    const path = `${repository}/pulls/${pull.number}`;
    await ok("PATCH", path, author!.token, { state: "closed" });
    await refusedFor(/is not open/);
  });

  it("is refused with an error if the token cannot read the reviewers' permissions", async () => {
    await approve(ada!);
    const { code, stderr } = await runCli(["approval", ...where()], {
      variables: { GITEA_COMMENT_TOKEN: author!.token, GITEA_TOKEN: undefined },
    });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /RDEV_FORBIDDEN/);
  });

  it("is permitted after a person with write access approved this commit, which is checked out", async () => {
    await approve(ada!);
    const checkout = join(folder, "approved");
    const { code, stdout, stderr } = await asked("--checkout", checkout);
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), {
      pullRequest: pull.number,
      commit: pull.head,
      base: "main",
      by: ada!.name,
    });
    const git = async (...args: string[]) => (await execa("git", args, { cwd: checkout })).stdout;
    assert.equal(await git("rev-parse", "HEAD"), pull.head);
    assert.equal((await git("diff", "--name-only", "origin/base...HEAD")).split("\n").length, 1);
    const token = new Secrets({ token: admin!.token });
    assert.deepEqual(await leaksIn(filesUnder(checkout), token), []);
    const again = await asked("--checkout", checkout);
    assert.deepEqual([again.code, /is not empty/.test(again.stderr)], [2, true]);
  });

  it("uses trusted code, which the pipeline fetches from a private repository", async () => {
    const pipeline = await readFile(
      join(import.meta.dirname, "../../.woodpecker/preview.yml"),
      "utf8",
    );
    const { steps } = parse(pipeline) as { steps: { name: string; commands: string[] }[] };
    const commands = steps.find(({ name }) => name === "report")?.commands ?? [];
    const fetching = commands.filter((command) => /ask/.test(command));
    assert.equal(fetching.length, 2);
    const cwd = await mkdtemp(join(folder, "report-"));
    const env = {
      GITEA_COMMENT_TOKEN: admin!.token,
      CI_REPO_DEFAULT_BRANCH: "main",
      CI_REPO_CLONE_URL: `${variable("GITEA_URL")}/${repository.slice("/repos/".length)}.git`,
    };
    await execa("sh", ["-ec", fetching.join("\n")], { cwd, env });
    assert.ok((await readdir(join(cwd, "trusted"))).includes("README.md"));
    const token = new Secrets({ token: admin!.token });
    assert.deepEqual(await leaksIn(filesUnder(cwd), token), []);
  });

  describe("reports a verdict that the pull request's code cannot set", () => {
    const shown = async (commit: string, more: object = {}) => {
      const file = join(folder, `${randomBytes(4).toString("hex")}.json`);
      const report = makeReport({ stacks: [], selection: "all", durationMs: 1, commit });
      await writeFile(file, JSON.stringify({ ...report, ...more }));
      return runCli(["report", file, ...where()], {
        variables: { GITEA_COMMENT_TOKEN: admin!.token, GITEA_TOKEN: undefined },
      });
    };
    const comments = async () => {
      const path = `${repository}/issues/${pull.number}/comments`;
      const found = await ok<{ body: string; user: { login: string } }[]>(
        "GET",
        path,
        admin!.token,
      );
      return found.filter(({ user }) => user.login === admin!.name).map(({ body }) => body);
    };

    it("shows the report of an approved commit with a recomputed verdict", async () => {
      await approve(ada!);
      const { code, stderr } = await shown(pull.head, { verdict: "failed" });
      assert.equal(code, 0, stderr);
      assert.deepEqual((await status())?.status, "success");
      assert.match((await comments()).join(), /<code>all<\/code>/);
    });

    it("shows no report of a commit without approval", async () => {
      const { code, stderr } = await shown(pull.head);
      assert.equal(code, 6, stderr);
      assert.deepEqual(await comments(), []);
      assert.equal((await status())?.status, "pending");
    });

    it("says so if the report is missing, malformed, or of another commit", async () => {
      await approve(ada!);
      for (const [show, why] of [
        [() => shown("f".repeat(40)), /names the commit ffffffffff, not the approved/],
        [() => shown(pull.head, { stacks: "all fine" }), /not have the expected form/],
      ] as const) {
        const ran = await show();
        assert.equal(ran.code, 1, ran.stderr);
        assert.equal((await status())?.status, "failure");
        assert.match((await comments()).join(), why);
      }
      const missing = await runCli(["report", join(folder, "none.json"), ...where()], {
        variables: { GITEA_COMMENT_TOKEN: admin!.token, GITEA_TOKEN: undefined },
      });
      assert.equal(missing.code, 1, missing.stderr);
      assert.match((await comments()).join(), /wrote no report/);
    });
  });
});
