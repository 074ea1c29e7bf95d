import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { hostname } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { OperationEvent } from "../../../core/operation.ts";
import { destroy, preview, previewDestroy, refresh, up } from "../../../automation/engine/stack.ts";
import type { DestroyOptions, PreviewOptions } from "../../../automation/engine/options.ts";
import {
  EMPTY,
  ProviderConnection,
  serveProviderCalls,
} from "../../../automation/engine/provider-proxy.ts";
import { makeEngineFolder, Thing, type EngineFolder } from "../../support/engine-folder.ts";
import { withVariables } from "../../support/variables.ts";

const TOKEN = "planted-token-4711";
const SECRET_OUTPUT = "planted-secret-4712";
const UUID_LENGTH = 36;
const NO_SUCH_PROCESS = 2 ** 22 + 1; // above the largest process id of Linux

const two = (sizes: { a?: number; b?: number; place?: string } = {}) =>
  function program() {
    new Thing("a", { size: sizes.a ?? 1, place: sizes.place ?? "here" });
    new Thing("b", { size: sizes.b ?? 1, other: pulumi.secret(SECRET_OUTPUT) });
    const key = pulumi.secret(SECRET_OUTPUT);
    return Promise.resolve({ url: "https://x", key, deep: { key } });
  };

describe("a stack's operations, on the real engine", function () {
  this.timeout(400_000);

  let folder: EngineFolder;

  before(async () => {
    folder = await makeEngineFolder();
  });

  after(() => folder.remove());

  /** Runs an operation on a backend that only this suite uses. */
  async function run(
    operation: typeof up | typeof preview | typeof destroy,
    stack: string,
    options: PreviewOptions & DestroyOptions = {},
    variables: Record<string, string | undefined> = {},
  ) {
    const events: OperationEvent[] = [];
    const environment = { ...folder.variables, GITEA_TOKEN: TOKEN, ...variables };
    const outcome = await withVariables(environment, () =>
      operation(stack, {
        workDir: folder.workDir,
        program: two(),
        ...options,
        onEvent: (event) => {
          events.push(event);
          options.onEvent?.(event);
        },
      }),
    );
    assert.doesNotMatch(JSON.stringify([events, outcome]), /planted-/);
    return { ...outcome, events };
  }

  const only = ({ code, message }: { code?: string; message: string }) => ({ code, message });
  const failure = async (...args: Parameters<typeof run>) => {
    const { result, errors } = await run(...args);
    assert.equal(result, "failed");
    assert.equal(errors.length, 1);
    return only(errors[0]!);
  };

  it("up creates a stack, and a second up changes nothing", async () => {
    const first = await run(up, "made");
    assert.deepEqual(first.errors, []);
    assert.equal(first.result, "succeeded");
    assert.deepEqual(first.changes, { create: 3, update: 0, replace: 0, delete: 0, same: 0 });
    assert.deepEqual(first.outputs, {
      url: "https://x",
      key: "[secret]",
      deep: { key: "[secret]" },
    });
    const a = first.events.filter((event) => "name" in event && event.name === "a");
    assert.deepEqual(
      a.map(({ event }) => event),
      ["resourceStarted", "resourceDone"],
    );
    assert.equal(first.events.at(-1)?.event, "summary");

    const second = await run(up, "made");
    assert.deepEqual(second.changes, { create: 0, update: 0, replace: 0, delete: 0, same: 3 });
    assert.deepEqual(second.outputs, first.outputs);
  });

  it("preview reports updates, replacements and deletions, and makes none", async () => {
    await run(up, "viewed");
    const changed = await run(preview, "viewed", { program: two({ place: "there", b: 2 }) });
    assert.deepEqual(changed.changes, { create: 0, update: 1, replace: 1, delete: 0, same: 1 });
    const gone = await run(preview, "viewed", { program: () => Promise.resolve({}) });
    assert.equal(gone.changes.delete, 2);
    const unchanged = await run(preview, "viewed");
    assert.equal(unchanged.changes.same, 3);
  });

  it("does the same, with the same state, as with Pulumi's plugin for dynamic resources", async () => {
    const changed = () => {
      new Thing("a", { size: 2, place: "there" });
      return Promise.resolve({});
    };
    const story = async (stack: string, options: PreviewOptions) => {
      const all = [
        await run(up, stack, options),
        await run(preview, stack, { ...options, program: changed }),
        await run(up, stack, { ...options, program: changed }),
        await run(refresh, stack, options),
        await run(up, stack, { ...options, program: failing }),
      ];
      const state = await stateOf(stack);
      all.push(await run(previewDestroy, stack, options), await run(destroy, stack, options));
      const outcomes = all.map(({ result, changes, errors }) => ({ result, changes, errors }));
      return JSON.stringify({ outcomes, state }, null, 1).replaceAll(stack, "stack");
    };
    const plugin = await startPluginOfSdk();
    try {
      const byPlugin = await story("by-plugin", { env: plugin.env });
      assert.match(byPlugin, /planted failure/);
      assert.equal(await story("by-process", {}), byPlugin);
    } finally {
      plugin.close();
    }
  });

  /** The engine attaches only to a plugin that answers that, and the SDK's does not. */
  async function startPluginOfSdk() {
    const program = createRequire(import.meta.url).resolve("@pulumi/pulumi/cmd/dynamic-provider");
    const plugin = spawn(process.execPath, [program, "127.0.0.1:1"], { cwd: folder.workDir });
    const [port] = (await once(plugin.stdout, "data")) as [Buffer];
    const connection = new ProviderConnection(`127.0.0.1:${String(port).trim()}`);
    const proxy = await serveProviderCalls(async (call) =>
      call.name === "attach" ? EMPTY : connection.call(call),
    );
    return {
      env: { PULUMI_DEBUG_PROVIDERS: `pulumi-nodejs:${proxy.port}` },
      close: () => {
        proxy.close();
        connection.close();
        plugin.kill("SIGKILL");
      },
    };
  }

  const failing = () => {
    new Thing("c", { failure: "planted failure" });
    return Promise.resolve({});
  };

  /** The resources in the backend's file, without times, random ids and encrypted texts. */
  async function stateOf(stack: string): Promise<unknown> {
    const file = join(folder.state, ".pulumi", "stacks", "rdev", `${stack}.json`);
    const differs = ["created", "modified", "ciphertext", "time", "encryptedkey", "state"];
    return JSON.parse(await readFile(file, "utf8"), (key, value: unknown) => {
      if (differs.includes(key)) return undefined;
      return key === "id" && String(value).length === UUID_LENGTH ? "an id of the engine" : value;
    });
  }

  it("destroy deletes everything, does nothing to an empty stack, and removes its record on request", async () => {
    await run(up, "short-lived");
    assert.equal((await run(previewDestroy, "short-lived")).changes.delete, 3);
    assert.equal((await run(destroy, "short-lived")).changes.delete, 3);
    const again = await run(destroy, "short-lived", { remove: true });
    assert.equal(again.result, "succeeded");
    const { code, message } = await failure(destroy, "short-lived");
    assert.equal(code, "RDEV_ENGINE");
    assert.match(message, /"short-lived" does not exist/);
  });

  it("preview and refresh report that a stack does not exist, and create none", async () => {
    for (const operation of [preview, refresh]) {
      const { message } = await failure(operation, "nowhere");
      assert.match(message, /"nowhere" does not exist.*rdev-infra up nowhere/);
    }
    const stacks = await readdir(join(folder.state, ".pulumi/stacks/rdev"));
    assert.ok(!stacks.includes("nowhere.json"));
  });

  it("a preview leaves every file of the folder as it was", async () => {
    await run(up, "clean", { config: { name: "before" } });
    await rm(join(folder.workDir, "Pulumi.unfiled.yaml"), { force: true });
    await run(up, "unfiled");
    await rm(join(folder.workDir, "Pulumi.unfiled.yaml"), { force: true });
    const files = async () => {
      const names = (await readdir(folder.workDir)).filter((name) => name !== "node_modules");
      return Promise.all(
        names.map(async (name) => [name, await readFile(join(folder.workDir, name), "utf8")]),
      );
    };
    const before = await files();
    for (const stack of ["clean", "unfiled"]) {
      const config = { name: "after" };
      assert.equal((await run(preview, stack, { config })).result, "succeeded");
      assert.equal((await run(previewDestroy, stack)).result, "succeeded");
    }
    assert.deepEqual(await files(), before);
  });

  it("a transient preview uses the config and a new stack, and leaves neither", async () => {
    const files = async () => ({
      work: await readdir(folder.workDir),
      // Pulumi keeps a backup of each stack that it removes.
      stacks: (await readdir(join(folder.state, ".pulumi/stacks/rdev"))).filter((name) =>
        name.endsWith(".json"),
      ),
    });
    const file = join(folder.workDir, "Pulumi.kept.yaml");
    await run(up, "kept", { config: { name: "kept" } });
    const before = { ...(await files()), config: await readFile(file, "utf8") };
    let seen: string | undefined;
    const program = async () => {
      seen = new pulumi.Config("rdev").get("name");
      new Thing("a", { size: 1, place: "here" });
    };
    const once = { transient: true, create: true, config: { name: "tried" }, program };
    assert.equal((await run(preview, "kept", once)).changes.delete, 1);
    assert.equal(seen, "tried");
    assert.equal((await run(preview, "declined", once)).changes.create, 2);
    const failing = () => Promise.reject(new Error("on purpose"));
    await failure(preview, "declined", { ...once, program: failing });
    assert.deepEqual({ ...(await files()), config: await readFile(file, "utf8") }, before);
  });

  it("destroy refuses a platform that has projects before it does anything", async () => {
    await run(up, "busy");
    const program = async () => void new Thing("a");
    const requires = { program: async () => ({ settings: {} }) };
    await run(up, "busy-too", requires);
    for (const stack of ["busy.shop", "busy.blog"]) await run(up, stack, { program });
    for (const operation of [previewDestroy, destroy]) {
      const { code, message } = await failure(operation, "busy", { remove: true });
      assert.equal(code, "RDEV_IN_USE");
      assert.ok(message.endsWith("  - busy.blog\n  - busy.shop"), message);
    }
    assert.equal((await run(preview, "busy")).changes.same, 3);
    await run(destroy, "busy.shop", { remove: true });
    await run(destroy, "busy.blog"); // its record stays, and holds nothing
    assert.equal((await run(destroy, "busy-too", { remove: true })).changes.delete, 1);
    assert.equal((await run(destroy, "busy", { remove: true })).changes.delete, 3);
  });

  it("reports one error for a resource that fails, with its code and without secrets", async () => {
    const program = () => {
      new Thing("good");
      new Thing("bad", { failure: `RDEV_REFUSED: the server said no to ${TOKEN}` });
      return Promise.resolve({});
    };
    const { result, errors, changes, events } = await run(up, "failing", { program });
    assert.equal(result, "failed");
    assert.equal(changes.create, 2); // the stack itself, and the good one
    assert.deepEqual(errors.map(only), [
      { code: "RDEV_REFUSED", message: "the server said no to [secret]" },
    ]);
    assert.match(errors[0]?.urn ?? "", /::bad$/);
    assert.ok(events.some((event) => event.event === "resourceFailed" && event.name === "bad"));
  });

  it("reports an error of the program once, without a stack trace", async () => {
    const problem = "RDEV_SETTINGS: not right:\n  - rdev:domain is missing";
    const refused = () => Promise.reject(new pulumi.RunError(problem));
    assert.deepEqual(await failure(up, "problem", { program: refused }), {
      code: "RDEV_SETTINGS",
      message: "not right:\n  - rdev:domain is missing",
    });
    const broken = () => Promise.reject(new TypeError("a slip"));
    assert.deepEqual(await failure(up, "problem", { program: broken }), {
      code: undefined,
      message: "a slip",
    });
  });

  it("names the process that holds a locked stack", async () => {
    await run(up, "held");
    const locks = join(folder.state, ".pulumi/locks/organization/rdev/held");
    await mkdir(locks, { recursive: true });
    const lock = (pid: number) =>
      writeFile(
        join(locks, "4a7e0a47-1e52-445a-af02-4b89b79ca875.json"),
        JSON.stringify({
          pid,
          username: "alice",
          hostname: hostname(),
          timestamp: "2026-11-23T21:02:23.5Z",
        }),
      );
    await lock(process.pid);
    const busy = await failure(up, "held");
    assert.equal(busy.code, "RDEV_ENGINE");
    assert.match(busy.message, new RegExp(`alice@${hostname()}, process ${process.pid}\\. Wait`));
    await lock(NO_SUCH_PROCESS);
    const stale = await failure(destroy, "held");
    assert.match(stale.message, /which no longer runs\. "pulumi cancel held"/);
  });

  it("a signal lets the engine finish what is under way and release the lock", async () => {
    const program = () => {
      const slow = new Thing("slow", { ms: 1_500 });
      new Thing("next", { other: slow.id });
      return Promise.resolve({});
    };
    const cancel = new AbortController();
    const { result, errors, events } = await run(up, "stopped", {
      program,
      signal: cancel.signal,
      onEvent: (event) => {
        if (event.event === "resourceStarted" && event.name === "slow") cancel.abort();
      },
    });
    assert.equal(result, "cancelled");
    assert.deepEqual(errors, []);
    const done = events.flatMap((event) => (event.event === "resourceDone" ? event.name : []));
    assert.ok(done.includes("slow"));
    assert.ok(!done.includes("next"));

    const resumed = await run(up, "stopped", { program });
    assert.deepEqual([resumed.result, resumed.changes.create], ["succeeded", 1]);
  });

  it("a kill does not wait for what is under way", async () => {
    const cancel = new AbortController();
    const kill = new AbortController();
    const { result, durationMs } = await run(up, "killed", {
      program: () => {
        new Thing("endless", { ms: 60_000 });
        return Promise.resolve({});
      },
      signal: cancel.signal,
      kill: kill.signal,
      onEvent: (event) => {
        if (event.event !== "resourceStarted" || event.name !== "endless") return;
        cancel.abort();
        setTimeout(() => kill.abort(), 200);
      },
    });
    assert.equal(result, "cancelled");
    assert.ok(durationMs < 30_000);
  });

  it("starts nothing if the signal was aborted before", async () => {
    const { result, events } = await run(up, "never", { signal: AbortSignal.abort() });
    assert.deepEqual([result, events], ["cancelled", []]);
  });

  describe("on a project", () => {
    const config = { name: "Shop, the: first", sizes: { replicas: 2 } };
    const settings = () => {
      const own = new pulumi.Config();
      const sizes = own.requireObject("sizes");
      return Promise.resolve({ name: own.require("name"), sizes });
    };

    it("require the platform before the engine starts", async () => {
      const none = await failure(up, "absent.shop");
      assert.equal(none.code, "RDEV_PLATFORM");
      assert.match(none.message, /"absent", whose stack does not exist.*rdev-infra up absent/);
      await run(up, "bare", { program: () => Promise.resolve({}) });
      const bare = await failure(preview, "bare.shop");
      assert.match(bare.message, /"bare", whose stack has no outputs/);
    });

    it("pass the config to the program, and keep it until the stack is removed", async () => {
      await run(up, "base");
      const made = await run(up, "base.shop", { config, program: settings });
      assert.deepEqual([made.errors, made.outputs], [[], config]);
      const again = await run(preview, "base.shop", { program: settings });
      assert.equal(again.result, "succeeded");
      const file = join(folder.workDir, "Pulumi.base.shop.yaml");
      assert.match(await readFile(file, "utf8"), /replicas: 2/);
      await run(destroy, "base.shop", { remove: true });
      await assert.rejects(readFile(file), { code: "ENOENT" });
    });

    it("hand the platform's settings to the program, and drop an older StackReference", async () => {
      const stored = { domain: "example.test", maxSizes: { replicas: 3 } };
      const program = () => Promise.resolve({ settings: stored, key: pulumi.secret("x") });
      await run(up, "given", { program });
      const older = () => {
        new pulumi.StackReference("given", { name: "organization/rdev/given" });
        new Thing("a");
        return Promise.resolve({});
      };
      await run(up, "given.shop", { program: older });
      const now = (_: unknown, settings: unknown) => {
        new Thing("a");
        return Promise.resolve({ settings });
      };
      const { errors, changes, outputs } = await run(up, "given.shop", { program: now });
      assert.deepEqual([errors, outputs], [[], { settings: stored }]);
      assert.deepEqual(
        [changes.create, changes.update, changes.replace, changes.delete],
        [0, 0, 0, 0],
      );
      const again = await run(preview, "given.shop", { program: now });
      assert.deepEqual([again.errors, again.changes.same], [[], 2]);
    });

    it("refuse an invalid setting before it is stored", async () => {
      const wrong = { sizes: { replicas: "many" }, colour: "red" };
      const { code, message } = await failure(up, "base.wrong", { config: wrong });
      assert.equal(code, "RDEV_SETTINGS");
      assert.match(message, /rdev:sizes\.replicas[\s\S]*rdev:colour is not a setting/);
      await assert.rejects(readFile(join(folder.workDir, "Pulumi.base.wrong.yaml")), {
        code: "ENOENT",
      });
    });
  });

  describe("without their prerequisites", () => {
    it("refuse a stack name that is neither a platform nor a project", async () => {
      assert.equal((await failure(up, "Bad_Name")).code, "RDEV_STACK_NAME");
    });

    it("report a missing passphrase", async () => {
      const unset = { PULUMI_CONFIG_PASSPHRASE: undefined };
      const { code, message } = await failure(up, "made", {}, unset);
      assert.equal(code, "RDEV_CONNECTION");
      assert.match(message, /PULUMI_CONFIG_PASSPHRASE is missing/);
    });

    it("report a backend that cannot be reached", async () => {
      const gone = { PULUMI_BACKEND_URL: `postgres://u:${TOKEN}@127.0.0.1:1/x` };
      const { code, message } = await failure(up, "made", {}, gone);
      assert.equal(code, "RDEV_UNREACHABLE");
      assert.match(message, /connection refused/);
    });
  });
});
