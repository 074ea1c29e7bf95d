import assert from "node:assert/strict";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { rehearseImport } from "../../../automation/backup/stacks.ts";
import { runPulumi } from "../../../automation/engine/command.ts";
import { StackState } from "../../../automation/engine/state.ts";
import { preview, previewRefresh, up } from "../../../automation/engine/stack.ts";
import { killProcessesWithVariable } from "../../../automation/processes/processes.ts";
import { NO_CHANGES } from "../../../core/operation.ts";
import { runCli, type RunOptions } from "../../cli/run-cli.ts";
import { makeEngineFolder, Thing, type EngineFolder } from "../../support/engine-folder.ts";
import { createTestStore } from "../../support/test-store.ts";
import { startTransit, type Transit } from "../../support/transit.ts";
import { withVariables } from "../../support/variables.ts";

/** In the audit trail. */
const moveDetails = z.object({
  provider: z.string(),
  stacks: z.array(z.object({ stack: z.string(), result: z.string() })),
});

const PLANTED = "planted-in-a-state";
const IN_FILE = "planted-in-a-file";

const platform = async () => {
  new Thing("a", { size: 1, other: pulumi.secret(PLANTED) });
  return { settings: {}, secret: pulumi.secret(PLANTED) };
};
const project = async () => void new Thing("b", { size: 1, other: pulumi.secret(PLANTED) });

describe("moving the secrets of a platform's stacks", function () {
  this.timeout(300_000);
  let transit: Transit;
  let folder: EngineFolder;
  /** Both passphrase and key, as during a move. */
  let variables: Record<string, string | undefined>;
  const stacks = ["east", "east.blog", "east.shop"];

  /** As it is before each test. */
  let prepared: EngineFolder;

  before(async () => {
    transit = await startTransit();
    prepared = await makeEngineFolder();
    await withVariables(prepared.variables, async () => {
      const { workDir } = prepared;
      for (const stack of stacks) {
        const program = stack === "east" ? platform : project;
        assert.deepEqual((await up(stack, { workDir, program })).errors, []);
      }
      const set = ["config", "set", "--secret", "rdev:token", IN_FILE, "--stack", "east"];
      await runPulumi(set, { workDir });
      // A service's work folders have no files of projects.
      await rm(join(workDir, "Pulumi.east.shop.yaml"));
    });
  });
  after(async () => {
    await transit.stop();
    await prepared.remove();
  });

  beforeEach(async () => {
    folder = await makeEngineFolder();
    variables = { ...folder.variables, ...transit.variables, DATABASE_URL: undefined };
    await cp(prepared.state, folder.state, { recursive: true });
    for (const name of (await readdir(prepared.workDir)).filter((each) => each.endsWith(".yaml"))) {
      await cp(join(prepared.workDir, name), join(folder.workDir, name));
    }
  });
  afterEach(() => folder.remove());

  const inFolder = <T>(
    work: (workDir: string) => Promise<T>,
    more: Record<string, string | undefined> = {},
  ) => withVariables({ ...variables, ...more }, () => work(folder.workDir));

  function move(args: readonly string[], options: RunOptions = {}) {
    const all = { ...variables, ...options.variables };
    const given = ["secrets", "move", "east", "--work-dir", folder.workDir, ...args];
    return runCli(given, { ...options, variables: all });
  }

  async function providers(): Promise<Record<string, string>> {
    const found = stacks.map(async (stack) => {
      const text = await inFolder((workDir) =>
        runPulumi(["stack", "export", "--stack", stack], { workDir }),
      );
      const { deployment } = JSON.parse(text) as {
        deployment: { secrets_providers: { type: string } };
      };
      return [stack, deployment.secrets_providers.type] as const;
    });
    return Object.fromEntries(await Promise.all(found));
  }

  /** Everything below the backend and the work folder, and the text of each file. */
  async function content(): Promise<Map<string, string>> {
    const files = new Map<string, string>();
    for (const root of [folder.state, folder.workDir]) {
      for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || entry.parentPath.includes("node_modules")) continue;
        const path = join(entry.parentPath, entry.name);
        files.set(path, await readFile(path, "utf8"));
      }
    }
    return files;
  }

  const all = (type: string) => Object.fromEntries(stacks.map((stack) => [stack, type]));
  const withKeyOnly = { PULUMI_CONFIG_PASSPHRASE: undefined };

  async function assertUnchanged(more: Record<string, string | undefined>): Promise<void> {
    await inFolder(async (workDir) => {
      for (const stack of stacks) {
        const program = stack === "east" ? platform : project;
        const { errors, changes } = await preview(stack, { workDir, program });
        assert.deepEqual(errors, []);
        assert.deepEqual({ ...changes, same: 0 }, NO_CHANGES);
      }
      const get = ["config", "get", "rdev:token", "--stack", "east"];
      assert.equal((await runPulumi(get, { workDir })).trim(), IN_FILE);
    }, more);
  }

  it("lists what a dry run would move, and changes nothing", async () => {
    const before = await content();
    const { code, stdout, stderr } = await move(["--to", transit.key, "--dry-run"]);
    assert.deepEqual([code, stderr], [0, ""]);
    const lines = stacks.map((stack) => `${stack}: passphrase, would move to ${transit.key}`);
    assert.deepEqual(stdout.trim().split("\n"), lines);
    assert.deepEqual(await content(), before);
  });

  it("leaves stacks that need only the key, and new projects use it", async () => {
    const { code, stdout, stderr } = await move(["--to", transit.key]);
    assert.deepEqual([code, stderr], [0, ""]);
    for (const stack of stacks) {
      assert.match(stdout, new RegExp(`^${stack}: moved from passphrase to ${transit.key}$`, "m"));
    }
    assert.deepEqual(await providers(), all("cloud"));
    for (const [file, text] of await content()) {
      for (const secret of [PLANTED, IN_FILE, transit.variables.VAULT_SERVER_TOKEN]) {
        assert.ok(!text.includes(secret), `${file} has a secret in plain text`);
      }
    }
    await assertUnchanged(withKeyOnly);
    stacks.push("east.new");
    try {
      await inFolder(async (workDir) => {
        const exported = await runPulumi(["stack", "export", "--stack", "east.shop"], { workDir });
        const entry = { name: "stacks/east.shop.json", content: Buffer.from(exported) };
        await rehearseImport("east.shop", entry, workDir);
        const made = await up("east.new", { workDir, program: project });
        assert.deepEqual(made.errors, []);
      }, withKeyOnly);
      assert.deepEqual(await providers(), all("cloud"));
      const again = await move(["--to", transit.key], { variables: withKeyOnly });
      assert.deepEqual([again.code, again.stdout.match(/already$/gm)?.length], [0, 4]);
    } finally {
      stacks.pop();
    }
  });

  it("moves back to a passphrase, which may be another one", async () => {
    assert.equal((await move(["--to", transit.key])).code, 0);
    const other = { PULUMI_CONFIG_PASSPHRASE: "another" };
    const { code, stderr } = await move(["--to", "passphrase"], { variables: other });
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(await providers(), all("passphrase"));
    await assertUnchanged({ ...other, VAULT_SERVER_TOKEN: undefined });
    const old = await inFolder((workDir) => previewRefresh("east", { workDir }));
    assert.match(old.errors[0]?.message ?? "", /is not the passphrase/);
  });

  it("names a locked stack, leaves it, and moves it when run again", async () => {
    const locks = join(folder.state, ".pulumi/locks/organization/rdev/east.blog");
    await mkdir(locks, { recursive: true });
    const holder = { pid: 17, username: "alice", hostname: "build-1", timestamp: "2026-11-23" };
    const lock = join(locks, "4a7e0a47-1e52-445a-af02-4b89b79ca875.json");
    await writeFile(lock, JSON.stringify({ ...holder, timestamp: "2026-11-23T21:02:23Z" }));
    const audit = await createTestStore();
    const recorded = { DATABASE_URL: audit.url, CITADEL_ENABLED: "false" };
    const first = await move(["--to", transit.key, "--actor", "ada"], { variables: recorded });
    assert.equal(first.code, 1);
    assert.match(first.stdout, /^east\.blog: locked, left\. .*alice@build-1/m);
    assert.deepEqual(await providers(), { ...all("cloud"), "east.blog": "passphrase" });
    await rm(lock);
    const second = await move(["--to", transit.key, "--actor", "ada"], { variables: recorded });
    assert.equal(second.code, 0);
    assert.match(second.stdout, /^east\.blog: moved/m);
    const trail = await audit.admin(
      "SELECT action, actor, result, details FROM audit_log ORDER BY id",
    );
    await audit.drop();
    assert.deepEqual(
      trail.map(
        ({ action, actor, result }) => `${String(actor)} ${String(action)} ${String(result)}`,
      ),
      ["started", "failure", "started", "success"].map((end) => `ada platform.secrets.move ${end}`),
    );
    const { provider, stacks: results } = moveDetails.parse(trail[1]?.["details"]);
    assert.equal(provider, transit.key);
    assert.deepEqual(results.map(({ stack, result }) => `${stack} ${result}`).toSorted(), [
      "east moved",
      "east.blog locked",
      "east.shop moved",
    ]);
    assert.deepEqual(await providers(), all("cloud"));
    await assertUnchanged(withKeyOnly);
  });

  for (const moment of ["as the engine takes a lock", "after the platform"]) {
    it(`completes when run again after a kill ${moment}`, async () => {
      const mark = `RDEV_TEST_MOVE=${process.pid}.${moment.length}`;
      const [name = "", value = ""] = mark.split("=");
      const end = new AbortController();
      const kill = () => {
        end.abort();
        killProcessesWithVariable(mark);
      };
      const watching = moment.startsWith("as") ? killOnLock(kill, end.signal) : undefined;
      const onOutput = (text: string) => void (/^east: moved/m.test(text) && kill());
      await move(["--to", transit.key], { variables: { [name]: value }, onOutput });
      end.abort();
      await watching;
      await inFolder(async (workDir) => {
        for (const stack of stacks)
          await runPulumi(["cancel", "--yes", "--stack", stack], { workDir });
      });
      const again = await move(["--to", transit.key]);
      assert.equal(again.code, 0, again.stdout + again.stderr);
      assert.deepEqual(await providers(), all("cloud"));
      await assertUnchanged(withKeyOnly);
    });
  }

  async function killOnLock(kill: () => void, signal: AbortSignal): Promise<void> {
    const locks = join(folder.state, ".pulumi/locks/organization/rdev/east");
    while (!signal.aborted) {
      const found = await readdir(locks).catch(() => []);
      if (found.length > 0) return kill();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  it("keeps the record of what a killed operation had begun to create", async () => {
    const file = join(folder.state, ".pulumi/stacks/rdev/east.blog.json");
    const stored = JSON.parse(await readFile(file, "utf8")) as {
      checkpoint: { latest: { resources: { urn: string; id?: string }[] } };
    };
    const { latest } = stored.checkpoint;
    const thing = latest.resources.find(({ urn }) => urn.endsWith("::b"));
    assert.ok(thing);
    const begun = { ...thing, id: undefined, urn: thing.urn.replace(/::b$/, "::begun") };
    Object.assign(latest, { pending_operations: [{ resource: begun, type: "creating" }] });
    await writeFile(file, JSON.stringify(stored));
    assert.equal((await move(["--to", transit.key])).code, 0);
    await inFolder(async (workDir) => {
      const { halfCreated } = await StackState.read("east.blog", workDir);
      assert.deepEqual(
        halfCreated.map(({ urn }) => urn),
        [begun.urn],
      );
      const text = await runPulumi(["stack", "export", "--show-secrets", "--stack", "east.blog"], {
        workDir,
      });
      assert.match(text.slice(text.indexOf("pending_operations")), new RegExp(PLANTED));
    }, withKeyOnly);
  });

  it("mends a file that an interrupted move left with the old provider", async () => {
    const file = join(folder.workDir, "Pulumi.east.yaml");
    const old = await readFile(file);
    assert.equal((await move(["--to", transit.key])).code, 0);
    await writeFile(file, old);
    const { code, stdout } = await move(["--to", transit.key]);
    assert.equal(code, 0);
    assert.match(stdout, /^east: moved/m);
    await assertUnchanged(withKeyOnly);
  });

  it("is not needed by a platform whose file names a key from the start", async () => {
    await writeFile(join(folder.workDir, "Pulumi.west.yaml"), `secretsprovider: ${transit.key}\n`);
    await inFolder(async (workDir) => {
      const program = platform;
      assert.deepEqual((await up("west", { workDir, program })).errors, []);
      const text = await runPulumi(["stack", "export", "--stack", "west"], { workDir });
      assert.match(text, /"type": "cloud"/);
    }, withKeyOnly);
    const none = await inFolder(
      (workDir) => up("north", { workDir, program: platform }),
      withKeyOnly,
    );
    assert.match(none.errors[0]?.message ?? "", /PULUMI_CONFIG_PASSPHRASE is missing/);
  });

  it("does nothing with a provider that cannot be used, and says why", async () => {
    const before = await content();
    const token = { VAULT_SERVER_TOKEN: "planted-token" };
    const { code, stdout, stderr } = await move(["--to", transit.key], { variables: token });
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(
      stderr,
      /^RDEV_CONNECTION: The secrets provider hashivault:\/\/rdev cannot be used/,
    );
    assert.match(stderr, /permission denied|403/);
    assert.doesNotMatch(stderr, /planted-token/);
    assert.deepEqual(await content(), before);
    const wrong = await move(["--to", "vault://x"]);
    assert.deepEqual([wrong.code, wrong.stderr.slice(0, 14)], [2, "RDEV_SETTINGS:"]);
  });
});
