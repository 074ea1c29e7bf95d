import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { CoreV1Api } from "@kubernetes/client-node";
import { execa } from "execa";
import { connectionSecrets } from "../../core/connections.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { applicationEnvironment, kubeConfig } from "../../sandbox/proofs/project.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import { runCli } from "../cli/run-cli.ts";
import {
  filesUnder,
  isOpenToOthers,
  leaksIn,
  leaksInArguments,
  Secrets,
} from "../support/leaks.ts";
import { OperationsStage, STEERED } from "../support/operations-stage.ts";
import { runningSandbox } from "../support/sandbox.ts";
import { platformStage, projects, succeeded, type Project } from "../support/stage.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { variable, withVariables } from "../support/variables.ts";

const POLL_MS = 50;

describe("secrets", function () {
  this.timeout(400_000);
  const project = projects();

  it("are found by the test's search in any encoding", () => {
    const secrets = new Secrets({ planted: "planted/4711+secret" });
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    for (const text of [
      "x planted/4711+secret",
      "postgres://u:planted%2F4711%2Bsecret@h",
      ...["", "a", "ab", "abc"].map((before) => base64(`${before}planted/4711+secret/db`)),
    ]) {
      assert.deepEqual(secrets.in(text), ["planted"], text);
    }
    assert.deepEqual(secrets.in("planted/4712"), []);
  });

  it("are found by it in compressed files, even truncated ones", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rdev-leaks-"));
    const secrets = new Secrets({ planted: "planted/4711+secret" });
    const log = gzipSync(`planted/4711+secret ${randomBytes(4_000).toString("hex")}`);
    try {
      await writeFile(join(folder, "cut.log"), log.subarray(0, 2_000));
      const found = await leaksIn(filesUnder(folder), secrets);
      assert.deepEqual(found, [`${join(folder, "cut.log")}: planted`]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("are in no state, output or argument, and in no file that others can read", async () => {
    const { folder, workFolder } = runningSandbox();
    const configured = new Secrets(await configuredSecrets());
    const one = await project();

    const [outcome, whileUp] = await watched(configured, one.up());
    succeeded(outcome);
    const generated = new Secrets(await generatedSecrets(one));
    const stack = [one.stack, "--work-dir", one.workDir];
    const [cli, whileCli] = await watched(
      generated,
      runCli(["up", ...stack, "--yes", "--diff", "-c", 'sizes={"replicas":2}']),
    );
    assert.equal(cli.code, 0, cli.stderr);
    const pulumi = async (...args: string[]) => {
      const options = ["--stack", one.stack, "--non-interactive"];
      return (await execa("pulumi", [...args, ...options], { cwd: one.workDir, all: true })).all;
    };
    const output = JSON.stringify([
      outcome,
      cli,
      await runCli(["preview", ...stack, "--json", "-c", "name=Other"]),
      await pulumi("preview", "--diff"),
      await pulumi("stack"),
      await pulumi("stack", "export"),
    ]);
    const leaks = async () => [
      ...(await leaksOf([...(await stateFolders()), workFolder], configured, generated)),
      ...(await leaksOf([folder], configured, generated, isOpenToOthers)),
    ];
    const whileUpLeaks = await leaks();
    const destroyed = succeeded(await one.destroy());

    assert.deepEqual([...whileUp, ...whileCli], []);
    assert.deepEqual([configured.in(output), generated.in(output)], [[], []]);
    assert.deepEqual(whileUpLeaks, []);
    assert.deepEqual(configured.in(JSON.stringify(destroyed)), []);
    assert.deepEqual(await leaks(), []);
  });
});

describe("Pulumi's debug logs", function () {
  this.timeout(400_000);
  const database = `pulumi_${randomBytes(6).toString("hex")}`;
  let home: string;
  let variables: Record<string, string>;
  let password: Secrets;

  /** A backend whose password Pulumi logs in every command, and a home with the sandbox's plugins. */
  before(async () => {
    const { workDir } = await platformStage();
    const server = new URL(variable("POSTGRES_ADMIN_URL"));
    await queryOnce(server.href, `CREATE DATABASE ${database}`);
    Object.assign(server, { pathname: `/${database}`, search: "sslmode=disable" });
    password = new Secrets({ backend: server.password });
    home = await mkdtemp(join(tmpdir(), "rdev-pulumi-home-"));
    await symlink(join(variable("PULUMI_HOME"), "plugins"), join(home, "plugins"));
    variables = { PULUMI_BACKEND_URL: server.href, PULUMI_HOME: home };
    const platform = await plainPulumi(workDir, {}, "stack", "export", "--stack", PLATFORM);
    // docs/operations.md recommends this for plain Pulumi: a file named logs in its home.
    const quiet = await mkdtemp(join(home, "by-hand-"));
    await writeFile(join(quiet, "logs"), "");
    const env = { ...variables, PULUMI_HOME: quiet };
    await plainPulumi(workDir, { env }, "stack", "init", "--no-select", PLATFORM);
    const input = { env, input: platform };
    await plainPulumi(workDir, input, "stack", "import", "--stack", PLATFORM);
  });
  after(async () => {
    await rm(home, { recursive: true, force: true });
    await queryOnce(variable("POSTGRES_ADMIN_URL"), `DROP DATABASE ${database} WITH (FORCE)`);
  });

  const leaks = async () => {
    const names = (await readdir(home)).filter((name) => name !== "plugins");
    const files = names.map((name) => leaksIn(filesUnder(join(home, name)), password));
    return (await Promise.all(files)).flat();
  };

  it("are not written by any command, for one stack or several", async () => {
    const { workDir } = await platformStage();
    const stack = `${PLATFORM}.${uniqueSlug()}`;
    const at = [stack, "--work-dir", workDir];
    for (const args of [
      ["up", ...at, "--yes"],
      ["preview", ...at],
      ["preview", "--stacks", stack, "--work-dir", workDir],
      ["preview", "--all", "--work-dir", workDir],
      ["refresh", ...at],
      ["destroy", ...at, "--yes", "--remove"],
    ]) {
      const { code, stderr } = await runCli(args, { variables });
      assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
      assert.deepEqual(await leaks(), [], args.join(" "));
    }
    assert.ok(!(await readdir(home)).includes("logs"));
  });

  it("are not written by the service's workers", async () => {
    await withVariables(variables, async () => {
      const stage = await OperationsStage.open();
      try {
        await stage.replica(STEERED);
        const slug = uniqueSlug();
        const made = await stage.end(await stage.up(slug, "plain"));
        assert.deepEqual(made.outcome?.errors, []);
        const gone = await stage.end(await stage.submit(slug, { kind: "destroy" }));
        assert.deepEqual(gone.outcome?.errors, []);
      } finally {
        await stage.close();
      }
    });
    assert.deepEqual(await leaks(), []);
    assert.ok(!(await readdir(home)).includes("logs"));
  });

  it("are written by plain Pulumi, which proves that this test would find them", async () => {
    const { workDir } = await platformStage();
    const loud = join(home, "loud");
    await mkdir(loud);
    await plainPulumi(workDir, { env: { ...variables, PULUMI_HOME: loud } }, "stack", "ls");
    assert.ok((await leaks()).every((leak) => leak.startsWith(join(loud, "logs"))));
    assert.notDeepEqual(await leaks(), []);
  });
});

async function plainPulumi(
  cwd: string,
  options: { readonly env?: Record<string, string>; readonly input?: string },
  ...args: string[]
): Promise<string> {
  return (await execa("pulumi", [...args, "--non-interactive"], { cwd, ...options })).stdout;
}

/** All credentials in the sandbox's environment. */
async function configuredSecrets(): Promise<Record<string, string>> {
  const { env } = runningSandbox();
  const kubeconfig = JSON.parse(await readFile(variable("KUBECONFIG"), "utf8")) as {
    users: { user: { token: string } }[];
  };
  const named = Object.keys(env).flatMap((name) =>
    connectionSecrets({ [name]: env[name] }).map((secret) => [name, secret] as const),
  );
  assert.ok(named.length >= 10, "the sandbox has fewer credentials than it should");
  return { ...Object.fromEntries(named), KUBECONFIG: kubeconfig.users[0]?.user.token ?? "" };
}

/** The secrets that were generated for the project. */
async function generatedSecrets(one: Project): Promise<Record<string, string>> {
  const environment = await applicationEnvironment(one.stage());
  const passwordIn = (name: string) => new URL(environment[name] ?? "").password;
  const { data } = await kubeConfig(one.place)
    .makeApiClient(CoreV1Api)
    .readNamespacedSecret({ namespace: one.slug, name: "deploy-token" });
  const secrets = {
    database: passwordIn("DATABASE_URL"),
    cache: passwordIn("REDIS_URL"),
    deploy: Buffer.from(data?.["token"] ?? "", "base64").toString(),
  };
  for (const [name, secret] of Object.entries(secrets)) assert.ok(secret.length > 20, name);
  return secrets;
}

/** The folders with Pulumi's stacks, their history and backups, and its logs. */
async function stateFolders(): Promise<string[]> {
  const home = variable("PULUMI_HOME");
  const state = new URL(variable("PULUMI_BACKEND_URL")).pathname;
  const names = (await readdir(home)).filter((name) => name !== "plugins");
  return [state, ...names.map((name) => join(home, name))];
}

async function leaksOf(
  folders: readonly string[],
  configured: Secrets,
  generated: Secrets,
  isOpen?: typeof isOpenToOthers,
): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    for (const secrets of [configured, generated]) {
      found.push(...(await leaksIn(filesUnder(folder, isOpen), secrets)));
    }
  }
  return found;
}

/** While `work` runs, searches the arguments of all processes and new files in the temporary folder. */
async function watched<T>(secrets: Secrets, work: Promise<T>): Promise<[T, string[]]> {
  const found = new Set<string>();
  const before = new Set(await readdir(tmpdir()));
  let isDone = false;
  const watching = (async () => {
    while (!isDone) {
      for (const leak of await leaksInArguments(secrets)) found.add(leak);
      for (const name of await readdir(tmpdir())) {
        if (before.has(name)) continue;
        const files = filesUnder(join(tmpdir(), name), isOpenToOthers);
        for (const leak of await leaksIn(files, secrets)) found.add(leak);
      }
      await sleep(POLL_MS);
    }
  })();
  try {
    return [await work, [...found]];
  } finally {
    isDone = true;
    await watching;
  }
}
