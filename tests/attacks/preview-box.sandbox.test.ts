import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { requireBox, runInBox } from "../../automation/previews/box.ts";
import { runPreview } from "../../automation/previews/run-preview.ts";
import { processesWithVariable } from "../../automation/processes/processes.ts";
import { until } from "../../sandbox/process.ts";
import { rejected } from "../support/errors.ts";
import { withVariables } from "../support/variables.ts";

const run = promisify(execFile);

/** Looks for everything that the service has, and writes what it found as its report. */
const HOSTILE = `
import { readFileSync, readdirSync, unlinkSync, writeFileSync } from "node:fs";
const attempt = (work) => { try { return work(); } catch (error) { return error.code; } };
const pids = readdirSync("/proc").filter((name) => /^\\d+$/.test(name));
writeFileSync(process.argv[process.argv.indexOf("--report") + 1], JSON.stringify({
  variables: process.env,
  others: pids.map((pid) => attempt(() => readFileSync(\`/proc/\${pid}/environ\`, "utf8"))),
  root: readdirSync("/"),
  file: attempt(() => readFileSync("PLANTED_FILE", "utf8")),
  cluster: attempt(() => readFileSync(process.env.KUBECONFIG, "utf8")),
  config: readFileSync("/checkout/.git/config", "utf8"),
  changes: ["/checkout/package.json", "/checkout/.git/HEAD", "/usr/x", "/programs/0/x", "/x", "/dev/shm/x",
    "/out/x"].map((file) => attempt(() => writeFileSync(file, "{}"))),
  unlinked: attempt(() => unlinkSync(process.argv[process.argv.indexOf("--report") + 1])),
  signal: attempt(() => process.kill(SERVICE_PID, 0)),
}));
`;

interface Found {
  readonly variables: Record<string, string>;
  readonly others: string[];
  readonly root: string[];
  readonly file: string;
  readonly cluster: string;
  readonly config: string;
  readonly changes: string[];
  readonly unlinked: string;
  readonly signal: string;
}

describe("the box that runs the code of a pull request", function () {
  this.timeout(120_000);
  let folder: string;
  let remote: { readonly url: string; readonly token: string };
  let cache: string;
  const { signal } = new AbortController();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-box-"));
    cache = join(folder, "cache");
    const repository = join(folder, "repository");
    await mkdir(repository);
    remote = { url: `file://${repository}`, token: "planted-token-of-git" };
    await git("init", "--quiet", "--initial-branch", "main");
    await commit({ "README.md": "infra" });
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const git = async (...args: string[]) => {
    const cwd = join(folder, "repository");
    const identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.test"];
    return (await run("git", [...identity, ...args], { cwd })).stdout.trim();
  };
  const commit = async (files: Record<string, string>) => {
    for (const [name, text] of Object.entries(files)) {
      const file = join(folder, "repository", name);
      await mkdir(join(file, ".."), { recursive: true });
      await writeFile(file, text);
    }
    await git("add", "--all");
    await git("commit", "--quiet", "--message", "change");
    return git("rev-parse", "HEAD");
  };
  /** A pull request with this program in place of the command. */
  const pullOf = async (program: string, more: Record<string, string> = {}) => {
    const packages = { name: "infra", version: "1.0.0", type: "module" };
    await git("checkout", "--quiet", "--detach", "main");
    const sha = await commit({
      "package.json": JSON.stringify(packages),
      "package-lock.json": JSON.stringify({
        ...packages,
        lockfileVersion: 3,
        packages: { "": { name: "infra", version: "1.0.0" } },
      }),
      "cli/rdev-infra.js": `${program}\n// ${randomBytes(8).toString("hex")}`,
      ...more,
    });
    await git("update-ref", "refs/pull/7/head", sha);
    return { number: 7, commit: sha, base: "main" };
  };
  /** A machine on which Pulumi's command is installed. */
  const installed = async <T>(variables: Record<string, string>, work: () => Promise<T>) => {
    const programs = join(folder, "programs");
    await mkdir(programs, { recursive: true });
    await writeFile(join(programs, "pulumi"), "#!/bin/sh\n");
    await chmod(join(programs, "pulumi"), 0o755);
    const path = `${programs}${delimiter}${process.env["PATH"]}`;
    return withVariables({ PATH: path, PULUMI_HOME: folder, ...variables }, work);
  };

  it("gives it nothing of the service but what a preview needs, and no way to change its checkout", async () => {
    const kubeconfig = join(folder, "kubeconfig");
    await writeFile(kubeconfig, "the cluster");
    const planted = join(folder, "planted");
    await writeFile(planted, "planted-file");
    const pull = await pullOf(
      HOSTILE.replace("PLANTED_FILE", planted).replace("SERVICE_PID", String(process.pid)),
    );
    const found = await installed(
      {
        KUBECONFIG: kubeconfig,
        PULUMI_BACKEND_URL: "postgres://planted:planted-owner@db/states",
        RDEV_INFRA_PREVIEW_PULUMI_BACKEND_URL: "postgres://reader:read-only@db/states",
        PULUMI_CONFIG_PASSPHRASE: "the passphrase",
        DATABASE_URL: "postgres://service:planted-database@db/infra",
        GITEA_URL: "https://git.example.test",
        GITEA_TOKEN: "planted-gitea",
        GITEA_COMMENT_TOKEN: "planted-comments",
        POSTGRES_ADMIN_URL: "postgres://admin:planted-admin@db:5432/postgres",
        CITADEL_API_KEY: "ck_planted",
        REGISTRY_TOKEN_KEY: "planted-key",
        RDEV_INFRA_WEBHOOK_SECRETS: '{"ops": "planted"}',
        SMTP_URL: "smtps://user:planted-mail@mail.example.test",
        PLANTED: "planted-other",
      },
      () =>
        runPreview(pull, { remote, signal, cache }, async (report) => {
          return JSON.parse(await readFile(report, "utf8")) as Found;
        }),
    );
    assert.doesNotMatch(JSON.stringify(found), /planted/i);
    const { variables } = found;
    assert.equal(variables["PULUMI_BACKEND_URL"], "postgres://reader:read-only@db/states");
    assert.equal(variables["PULUMI_CONFIG_PASSPHRASE"], "the passphrase");
    assert.equal(
      variables["POSTGRES_ADMIN_URL"],
      "postgres://preview:not-for-previews@db:5432/postgres",
    );
    assert.deepEqual(
      [variables["GITEA_URL"], variables["GITEA_TOKEN"], variables["CITADEL_API_KEY"]],
      ["https://git.example.test", "not-for-previews", "ck_not_for_previews"],
    );
    assert.equal(found.cluster, "the cluster");
    assert.deepEqual([found.file, found.signal], ["ENOENT", "ESRCH"]);
    assert.deepEqual(found.changes, Array(7).fill("EROFS"));
    assert.match(found.unlinked, /EROFS|EBUSY/);
    for (const name of ["home", "root", "run", "var"]) assert.ok(!found.root.includes(name), name);
  });

  it("shows it a backend in files, and no way to change it", async () => {
    const states = join(folder, "states");
    await mkdir(states, { recursive: true });
    await writeFile(join(states, "state.json"), "a state");
    const pull = await pullOf(`
      import { copyFileSync, writeFileSync } from "node:fs";
      try { writeFileSync("${states}/state.json", "{}"); } catch {
        copyFileSync("${states}/state.json", "/out/report.json");
      }`);
    const backend = { PULUMI_BACKEND_URL: `file://${states}?metadata=skip` };
    const found = await installed(backend, () =>
      runPreview(pull, { remote, signal, cache }, (report) => readFile(report, "utf8")),
    );
    assert.equal(found, "a state");
  });

  it("runs the second preview of a commit from the same checkout, and keeps only the newest ones", async () => {
    const pull = await pullOf(`process.exit(1)`);
    const missing = async (report: string) => assert.equal(await readFile(report, "utf8"), "");
    const preview = (each: typeof pull, from = remote) =>
      installed({}, () => runPreview(each, { remote: from, signal, cache }, missing));
    await preview(pull);
    await preview(pull, { ...remote, url: "file:///nowhere" });
    const [killed, working] = ["0a", "0b"].map((end) => `${pull.commit}.${end}`);
    for (const name of [killed!, working!]) await mkdir(join(cache, name));
    await utimes(join(cache, killed!), 0, 0);
    const newer: string[] = [];
    for (let index = 0; index < 3; index += 1) {
      const next = await pullOf(`process.exit(${index})`);
      newer.push(next.commit);
      await preview(next);
    }
    assert.deepEqual((await readdir(cache)).toSorted(), [...newer, working!].toSorted());
    await rm(join(cache, working!), { recursive: true });
  });

  it("refuses a commit that is no longer in the pull request, and packages that cannot be installed", async () => {
    const gone = await pullOf(`process.exit(0)`);
    const broken = await pullOf(`process.exit(0)`, { "package.json": "not JSON" });
    const preview = (pull: typeof gone) =>
      installed({}, () => runPreview(pull, { remote, signal, cache }, async () => undefined));
    assert.equal((await rejected(preview(gone), /its branch was rewritten/)).name, "RDEV_APPROVAL");
    assert.equal((await rejected(preview(broken), /cannot be installed/)).name, "RDEV_REFUSED");
    assert.ok(!(await readdir(cache)).some((name) => name.startsWith(broken.commit)));
  });

  it("kills everything in it at the deadline, and when the service stops", async () => {
    const mark = `RDEV_TEST_BOX=${randomBytes(8).toString("hex")}`;
    const [name = "", value = ""] = mark.split("=");
    const endless = {
      command: ["/bin/sh", "-c", "(setsid sleep 1000 &) ; sleep 1000"],
      cwd: "/",
      mounts: [],
      variables: { PATH: "/usr/bin:/bin", [name]: value },
    };
    assert.equal(await runInBox({ ...endless, deadline: 1_000 }), null);
    await until(() => assert.deepEqual(processesWithVariable(mark), []));
    const stop = new AbortController();
    const running = runInBox({ ...endless, deadline: 60_000, signal: stop.signal });
    await until(() => assert.ok(processesWithVariable(mark).length >= 3));
    stop.abort();
    assert.equal(await running, null);
    await until(() => assert.deepEqual(processesWithVariable(mark), []));
    // The service was stopped before the box started.
    assert.equal(await runInBox({ ...endless, deadline: 60_000, signal: stop.signal }), null);
  });

  it("is missed at the start of the service where bubblewrap is missing", async () => {
    await requireBox();
    const error = await withVariables({ PATH: folder }, () => rejected(requireBox(), /bubblewrap/));
    assert.equal(error.name, "RDEV_PREREQUISITE");
  });
});
