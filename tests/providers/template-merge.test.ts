import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import type { TemplateFile } from "../../core/template.ts";
import {
  baseRef,
  PUSHED_REF,
  recordFile,
  SEED_SUBJECT,
  TEMPLATE_RECORD,
  UPDATE_BRANCH,
} from "../../core/template-update.ts";
import { type Proposal, proposeTemplate } from "../../providers/git/template-merge.ts";
import { rejected } from "../support/errors.ts";

const [V1, V2, V3] = ["1", "2", "3"].map((digit) => digit.repeat(16)) as [string, string, string];

type Files = Readonly<Record<string, string | Buffer>>;

const filesOf = (files: Files, ...executables: string[]): TemplateFile[] =>
  Object.entries(files).map(([path, content]) => ({
    path,
    content: Buffer.from(content),
    executable: executables.includes(path),
  }));

/** Many lines, so that two changes in one file do not meet. */
const lines = (changes: Readonly<Record<number, string>> = {}, end = "\n") =>
  Array.from({ length: 30 }, (_, index) => (changes[index] ?? `line ${index}`) + end).join("");

describe("merging a template's newest version into a project's repository", function () {
  this.timeout(60_000);
  let folder: string;
  let clone: string;
  let url: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "rdev-test-"));
    const remote = join(folder, "remote.git");
    url = pathToFileURL(remote).href;
    clone = join(folder, "clone");
    await execa("git", ["init", "--quiet", "--bare", "--initial-branch=main", remote]);
    await execa("git", ["init", "--quiet", "--initial-branch=main", clone]);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function git(...args: string[]): Promise<string> {
    const name = ["-c", "user.name=ada", "-c", "user.email=ada@example.test"];
    return (await execa("git", [...name, ...args], { cwd: clone, stripFinalNewline: false }))
      .stdout;
  }
  function write(files: Files) {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(clone, path)), { recursive: true });
      writeFileSync(join(clone, path), content);
    }
  }
  async function commit(message: string) {
    await git("add", "--all", "--force");
    await git("commit", "--quiet", "--allow-empty", "-m", message);
  }
  /** Does what a person does in the project. */
  async function push(files: Files, branch = "main") {
    write(files);
    await commit("by hand");
    await git("push", "--quiet", url, `HEAD:refs/heads/${branch}`);
  }
  /** Seeds the repository; without a version as an older rdev-infra did. */
  async function seed(files: readonly TemplateFile[], version?: string) {
    const record = version ? [recordFile({ template: "skeleton", version })] : [];
    for (const { path, content, executable } of [...files, ...record]) {
      write({ [path]: content });
      if (executable) chmodSync(join(clone, path), 0o755);
    }
    await git("add", "--all", "--force");
    const author = ["-c", "user.name=rdev-infra", "-c", "user.email=rdev-infra@localhost"];
    await git(...author, "commit", "--quiet", "-m", `${SEED_SUBJECT}skeleton`);
    const refs = ["main", ...(version ? [baseRef(version)] : [])];
    for (const ref of refs) await git("push", "--quiet", url, `HEAD:${ref}`);
  }
  const propose = (files: readonly TemplateFile[], changes: Partial<Proposal> = {}) =>
    proposeTemplate(
      { url, token: "a-token" },
      {
        branch: "main",
        record: { template: "skeleton", version: V2 },
        files,
        hasPullRequest: false,
        dryRun: false,
        ...changes,
      },
    );
  /** Checks out what the pull request would merge, and reads files. */
  async function proposed() {
    await git("fetch", "--quiet", url, UPDATE_BRANCH);
    return {
      read: (path: string) => git("show", `FETCH_HEAD:${path}`),
      mode: async (path: string) => (await git("ls-tree", "FETCH_HEAD", "--", path)).split(" ")[0],
      paths: async () =>
        (await git("ls-tree", "-r", "--name-only", "FETCH_HEAD")).trim().split("\n"),
    };
  }
  const refs = async () => (await git("ls-remote", url)).trim().split("\n").sort();
  const refOf = async (ref: string) => (await git("ls-remote", url, ref)).split("\t")[0];
  /** What merging the pull request by squashing does. */
  async function squash() {
    await git("fetch", "--quiet", url, UPDATE_BRANCH);
    const tree = (await git("rev-parse", "FETCH_HEAD^{tree}")).trim();
    const parent = (await git("rev-parse", "HEAD")).trim();
    const merged = (await git("commit-tree", tree, "-p", parent, "-m", "squashed")).trim();
    await git("reset", "--quiet", "--hard", merged);
    await git("push", "--quiet", url, "HEAD:main", `:${UPDATE_BRANCH}`);
  }

  it("keeps what both sides changed, and never touches the main branch", async () => {
    await seed(filesOf({ "main.go": lines(), "gone.txt": "x\n" }), V1);
    await push({ "main.go": lines({ 2: "by the project" }), "own.go": "own\n" });
    const main = await refOf("refs/heads/main");
    const next = filesOf({ "main.go": lines({ 25: "by the template" }), "new.txt": "new\n" });
    const result = await propose(next);
    assert.deepEqual(result, {
      version: V1,
      state: "pushed",
      isShared: false,
      conflicts: [],
      files: [TEMPLATE_RECORD, "gone.txt", "main.go", "new.txt"],
    });
    const { read, paths } = await proposed();
    assert.equal(await read("main.go"), lines({ 2: "by the project", 25: "by the template" }));
    assert.deepEqual(await paths(), [TEMPLATE_RECORD, "main.go", "new.txt", "own.go"]);
    assert.match(await read(TEMPLATE_RECORD), new RegExp(V2));
    assert.equal(await refOf("refs/heads/main"), main);
    assert.equal((await git("log", "--format=%an", "-1", "FETCH_HEAD")).trim(), "rdev-infra");
  });

  it("merges the next version against the one that was merged, however that was done", async () => {
    await seed(filesOf({ "main.go": lines() }), V1);
    await propose(filesOf({ "main.go": lines({ 5: "second" }) }));
    await squash();
    const again = await propose(filesOf({ "main.go": lines({ 5: "second" }) }));
    assert.deepEqual([again.state, again.version], ["current", V2]);
    const record = { template: "skeleton", version: V3 };
    const third = await propose(filesOf({ "main.go": lines({ 5: "third" }) }), { record });
    assert.deepEqual([third.state, third.conflicts], ["pushed", []]);
    assert.equal(await (await proposed()).read("main.go"), lines({ 5: "third" }));
  });

  it("marks a conflict in every file, and lists all of them", async () => {
    const all = (text: string): Files =>
      Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`f${index}.txt`, `${text}\n`]));
    await seed(filesOf(all("seed")), V1);
    await push(all("ours"));
    const { state, conflicts } = await propose(filesOf(all("theirs")));
    assert.equal(state, "pushed");
    assert.deepEqual(conflicts.flatMap(({ paths }) => paths).sort(), Object.keys(all("")).sort());
    assert.equal(conflicts[0]?.reason, "CONFLICT (content): Merge conflict in f0.txt");
    assert.equal(
      await (await proposed()).read("f7.txt"),
      "<<<<<<< project\nours\n=======\ntheirs\n>>>>>>> template\n",
    );
  });

  it("follows renames, and names deletions and binary files that conflict", async () => {
    const [a, b, c] = [0, 1, 2].map((byte) => Buffer.from([0, byte, 0])) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    await seed(
      filesOf({
        "old.go": lines(),
        "deleted.txt": "deleted\n",
        "dropped.txt": "dropped\n",
        "logo.png": a,
        "icon.png": a,
      }),
      V1,
    );
    renameSync(join(clone, "old.go"), join(clone, "renamed.go"));
    rmSync(join(clone, "deleted.txt"));
    await push({ "logo.png": b, "dropped.txt": "still in use\n" });
    const { conflicts } = await propose(
      filesOf({
        "old.go": lines({ 9: "by the template" }),
        "deleted.txt": "by the template\n",
        "logo.png": c,
        "icon.png": c,
      }),
    );
    const reasons = conflicts.map(({ reason }) => reason).sort();
    assert.equal(reasons.length, 3);
    assert.match(
      reasons[0]!,
      /\(modify\/delete\): deleted.txt deleted in project and modified in t/,
    );
    assert.match(
      reasons[1]!,
      /\(modify\/delete\): dropped.txt deleted in template and modified in p/,
    );
    assert.match(reasons[2]!, /Cannot merge binary files: logo.png \(project vs. template\)/);
    const { read, paths } = await proposed();
    assert.equal(await read("renamed.go"), lines({ 9: "by the template" }));
    assert.ok(!(await paths()).includes("old.go"));
    assert.equal(await read("logo.png"), b.toString());
    assert.equal(await read("icon.png"), c.toString());
  });

  it("keeps CRLF, and takes over the executable bit", async () => {
    await seed(filesOf({ "dos.txt": lines({}, "\r\n"), "run.sh": "#!/bin/sh\n" }), V1);
    await push({ "dos.txt": lines({ 1: "ours" }, "\r\n") });
    const next = { "dos.txt": lines({ 28: "theirs" }, "\r\n"), "run.sh": "#!/bin/sh\n" };
    const { conflicts } = await propose(filesOf(next, "run.sh"));
    assert.deepEqual(conflicts, []);
    const { read, mode } = await proposed();
    assert.equal(await read("dos.txt"), lines({ 1: "ours", 28: "theirs" }, "\r\n"));
    assert.equal(await mode("run.sh"), "100755");
  });

  it("changes the open pull request's branch for a newer version, and for a newer main", async () => {
    await seed(filesOf({ "main.go": lines() }), V1);
    const second = filesOf({ "main.go": lines({ 5: "second" }) });
    await propose(second);
    const first = await refs();
    assert.equal((await propose(second, { hasPullRequest: true })).state, "unchanged");
    assert.deepEqual(await refs(), first);

    await push({ "main.go": lines({ 20: "ours" }) });
    assert.equal((await propose(second, { hasPullRequest: true })).state, "pushed");
    assert.equal(await (await proposed()).read("main.go"), lines({ 5: "second", 20: "ours" }));

    const record = { template: "skeleton", version: V3 };
    const third = filesOf({ "main.go": lines({ 5: "third" }) });
    assert.equal((await propose(third, { record, hasPullRequest: true })).state, "pushed");
    assert.equal(await (await proposed()).read("main.go"), lines({ 5: "third", 20: "ours" }));
    assert.equal((await git("rev-list", "--count", "FETCH_HEAD")).trim(), "3");
  });

  it("adds to the commits of others on the branch, and never replaces them", async () => {
    await seed(filesOf({ "main.go": "seed\n" }), V1);
    await push({ "main.go": "ours\n" });
    assert.equal((await propose(filesOf({ "main.go": "second\n" }))).conflicts.length, 1);
    await git("fetch", "--quiet", url, UPDATE_BRANCH);
    await git("checkout", "--quiet", "--detach", "FETCH_HEAD");
    await push({ "main.go": "ours and second\n" }, UPDATE_BRANCH);
    const resolved = await refOf(`refs/heads/${UPDATE_BRANCH}`);

    const open = { hasPullRequest: true };
    const same = await propose(filesOf({ "main.go": "second\n" }), open);
    assert.deepEqual([same.state, same.isShared], ["unchanged", true]);
    const third = filesOf({ "main.go": "second\n", "new.txt": "third\n" });
    const record = { template: "skeleton", version: V3 };
    for (const state of ["pushed", "unchanged"]) {
      assert.equal((await propose(third, { ...open, record })).state, state);
      const { read } = await proposed();
      assert.equal(await read("main.go"), "ours and second\n");
      assert.equal(await read("new.txt"), "third\n");
      assert.equal((await git("rev-parse", "FETCH_HEAD^")).trim(), resolved);
    }
    await rejected(
      propose(third, { record: { template: "skeleton", version: "4".repeat(16) } }),
      /open/,
    );
    assert.equal((await git("rev-parse", "FETCH_HEAD^")).trim(), resolved);
  });

  it("loses no commit that is pushed to the branch at the same moment", async () => {
    await seed(filesOf({ "main.go": lines() }), V1);
    await propose(filesOf({ "main.go": lines({ 5: "second" }) }));
    const before = await refOf(`refs/heads/${UPDATE_BRANCH}`);
    await push({ "main.go": lines({ 20: "ours" }) });
    const hook = join(folder, "remote.git", "hooks", "pre-receive");
    // Moves the branch after the update has read it and before its push is accepted.
    writeFileSync(
      hook,
      `#!/bin/sh\nunset GIT_QUARANTINE_PATH\ngit update-ref refs/heads/${UPDATE_BRANCH} refs/heads/main\n`,
    );
    chmodSync(hook, 0o755);
    const open = { hasPullRequest: true };
    const { name } = await rejected(
      propose(filesOf({ "main.go": lines({ 5: "second" }) }), open),
      /meanwhile/,
    );
    assert.equal(name, "RDEV_TEMPLATE_MERGE");
    assert.notEqual(await refOf(`refs/heads/${UPDATE_BRANCH}`), before);
    assert.equal(await refOf(`refs/heads/${UPDATE_BRANCH}`), await refOf("refs/heads/main"));
    assert.equal(await refOf(PUSHED_REF), before);
  });

  it("merges against the first commit of a repository that an older version seeded", async () => {
    await seed(filesOf({ "main.go": lines() }));
    await push({ "main.go": lines({ 20: "ours" }) });
    const unchanged = await propose(filesOf({ "main.go": lines() }));
    assert.deepEqual([unchanged.state, unchanged.version], ["current", V2]);
    assert.equal((await refs()).length, 2); // HEAD and main
    const { state, version } = await propose(filesOf({ "main.go": lines({ 5: "second" }) }));
    assert.deepEqual([state, version], ["pushed", undefined]);
    assert.equal(await (await proposed()).read("main.go"), lines({ 5: "second", 20: "ours" }));
  });

  it("writes the version again if it was deleted or changed, and never conflicts over it", async () => {
    await seed(filesOf({ "main.go": lines() }), V1);
    await git("rm", "--quiet", TEMPLATE_RECORD);
    await push({ "main.go": lines({ 20: "ours" }) });
    const unchanged = await propose(filesOf({ "main.go": lines() }));
    assert.deepEqual([unchanged.state, unchanged.version], ["current", V2]);
    const second = await propose(filesOf({ "main.go": lines({ 5: "second" }) }));
    assert.deepEqual(second.files, [TEMPLATE_RECORD, "main.go"]);
    await git("push", "--quiet", url, `:${UPDATE_BRANCH}`);

    await push({ [TEMPLATE_RECORD]: `{ "template": "mine", "version": "${V1}" }` });
    const third = await propose(filesOf({ "main.go": lines({ 5: "third" }) }), {
      record: { template: "skeleton", version: V3 },
    });
    assert.deepEqual([third.conflicts, third.version], [[], V1]);
    const { read } = await proposed();
    assert.equal(await read("main.go"), lines({ 5: "third", 20: "ours" }));
    assert.deepEqual(JSON.parse(await read(TEMPLATE_RECORD)), {
      template: "skeleton",
      version: V3,
    });
  });

  it("changes nothing in a dry run", async () => {
    await seed(filesOf({ "main.go": "seed\n" }), V1);
    await push({ "main.go": "ours\n" });
    const before = await refs();
    const { state, conflicts, files } = await propose(filesOf({ "main.go": "second\n" }), {
      dryRun: true,
    });
    assert.equal(state, "pushed");
    assert.equal(conflicts.length, 1);
    assert.deepEqual(files, [TEMPLATE_RECORD, "main.go"]);
    assert.deepEqual(await refs(), before);
  });

  it("says what to do about a repository that it cannot merge into", async () => {
    const next = filesOf({ "main.go": "second\n" });
    const refused = async (why: RegExp, changes: Partial<Proposal> = {}) => {
      const { name } = await rejected(propose(next, changes), why);
      assert.equal(name, "RDEV_TEMPLATE_MERGE");
    };
    await refused(/no branch main/);
    await push({ "main.go": "not from a template\n" });
    await refused(/first commit is not from rdev-infra/);
    await push({ [TEMPLATE_RECORD]: "{" });
    await refused(/is damaged/);
    await push({
      [TEMPLATE_RECORD]: JSON.stringify({ template: "skeleton", version: "../../main" }),
    });
    await refused(/is damaged/);
    await push({ [TEMPLATE_RECORD]: JSON.stringify({ template: "skeleton", version: V1 }) });
    await refused(/refs\/rdev\/template\/1{16} is missing/);
  });

  it("says that a rule of the repository refuses the branch", async () => {
    await seed(filesOf({ "main.go": "seed\n" }), V1);
    const hook = join(folder, "remote.git", "hooks", "pre-receive");
    // The digits of a commit are no status of HTTP.
    const text = "branch is protected from pushing 40140301";
    writeFileSync(hook, `#!/bin/sh\necho '${text}' >&2\nexit 1\n`);
    chmodSync(hook, 0o755);
    const before = await refs();
    const { name } = await rejected(
      propose(filesOf({ "main.go": "second\n" })),
      /protects it, permit[^]*protected from pushing/,
    );
    assert.equal(name, "RDEV_TEMPLATE_MERGE");
    assert.deepEqual(await refs(), before);
  });

  it("runs no filter, hook or merge driver that the repository names, and leaves no folder", async () => {
    const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith("rdev-template-"));
    const before = left();
    await seed(filesOf({ "main.go": lines() }), V1);
    await push({
      ".gitattributes": "*.go filter=evil merge=evil diff=evil\n",
      ".gitconfig": `[filter "evil"]\n\tclean = touch ${folder}/ran\n\tsmudge = touch ${folder}/ran\n[merge "evil"]\n\tdriver = touch ${folder}/ran\n`,
      "main.go": lines({ 1: "ours" }),
    });
    await propose(filesOf({ "main.go": lines({ 28: "theirs" }) }));
    assert.equal(await (await proposed()).read("main.go"), lines({ 1: "ours", 28: "theirs" }));
    assert.ok(!readdirSync(folder).includes("ran"));
    assert.deepEqual(left(), before);
  });
});
