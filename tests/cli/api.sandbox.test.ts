import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { execa } from "execa";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { type ServiceProcess, startService } from "../support/service-process.ts";
import { platformStage } from "../support/stage.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { runCli } from "./run-cli.ts";

describe("rdev-infra, with a running service", function () {
  this.timeout(400_000);
  let test: TestStore;
  let service: ServiceProcess;
  let variables: Record<string, string>;
  const run = (...args: string[]) => runCli(args, { variables });

  before(async () => {
    await platformStage();
    test = await createTestStore({ migrated: false });
    const database = { DATABASE_URL: test.url };
    // The service never works as the owner: it refuses, and names the command that migrates.
    const serve = { RDEV_INFRA_PLATFORM: PLATFORM, RDEV_INFRA_LISTEN: "127.0.0.1:0", ...database };
    const unmigrated = await runCli(["service"], { variables: serve });
    assert.equal(unmigrated.code, 1);
    assert.match(unmigrated.stderr, /^RDEV_STORE: .*rdev-infra store migrate/s);
    const owner = { ...database, DATABASE_OWNER_URL: test.ownerUrl };
    const migrated = await runCli(["store", "migrate"], { variables: owner });
    assert.deepEqual([migrated.code, migrated.stderr], [0, ""]);
    const asOwner = await runCli(["service"], {
      variables: { ...serve, DATABASE_URL: test.ownerUrl },
    });
    assert.equal(asOwner.code, 1);
    assert.match(asOwner.stderr, /^RDEV_STORE: .* owns the audit log.* a role of its own/s);
    service = await startService({ variables: database });
    variables = { ...database, RDEV_INFRA_URL: service.url };
    const { code, stdout, stderr } = await run("keys", "create", "--name", "ci", "--role", "admin");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^rdk_[0-9a-f]{16}_[\w-]{43}\n$/);
    variables = { ...variables, RDEV_INFRA_KEY: stdout.trim() };
  });
  after(async () => {
    const { code, stdout, stderr } = await service.stop();
    await test.drop();
    assert.equal(code, 0, stderr);
    const key = variables["RDEV_INFRA_KEY"]!;
    assert.ok(!`${stdout}${stderr}`.includes(key.slice(21)), "the log holds the key");
  });

  it("creates keys, lists them without their secrets, and revokes them", async () => {
    const args = ["--name", "shop-ci", "--role", "operator", "--project", "shop"];
    const made = await run("keys", "create", ...args, "--expires", "90d");
    assert.equal(made.code, 0, made.stderr);
    const again = await run("keys", "create", ...args);
    assert.match(again.stderr, /^RDEV_CONFLICT: /);
    const listed = await run("keys", "list");
    assert.match(listed.stdout, /^[0-9a-f]{16} {2}shop-ci {2}operator of shop {2}valid until /);
    assert.ok(!listed.stdout.includes(made.stdout.trim().slice(21)));
    assert.match((await run("keys", "revoke", "shop-ci")).stdout, /^revoked: shop-ci \(/);
    const gone = await run("keys", "revoke", "shop-ci");
    assert.deepEqual([gone.code, /^RDEV_NOT_FOUND: /.test(gone.stderr)], [1, true]);
    assert.equal((await run("keys", "create", "--name", "x", "--role", "root")).code, 2);
  });

  it("creates keys as a user without a name, as a container may run", async () => {
    // `os.userInfo` throws if the user id has no entry in the list of users.
    const nameless =
      'import os from "node:os"; import { syncBuiltinESMExports } from "node:module"; ' +
      'os.userInfo = () => { throw new Error("ENOENT"); }; syncBuiltinESMExports();';
    const preload = `--import=data:text/javascript,${encodeURIComponent(nameless)}`;
    const args = ["keys", "create", "--name", "nameless", "--role", "viewer"];
    const made = await runCli(args, { variables, nodeOptions: [preload] });
    assert.equal(made.code, 0, made.stderr);
    const [row] = await test.admin("SELECT actor FROM audit_log ORDER BY id DESC LIMIT 1");
    assert.match(String(row?.["actor"]), /^\d+@/);
    assert.equal((await run("keys", "revoke", "nameless")).code, 0);
  });

  it("creates a project, shows it, updates it and destroys it", async () => {
    const slug = uniqueSlug();
    const args = [
      "projects",
      "create",
      "My App",
      "--slug",
      slug,
      "--config",
      'sizes={"replicas":2}',
    ];
    const created = await run(...args);
    assert.equal(created.code, 0, created.stdout + created.stderr);
    assert.match(created.stdout, /✓ created gitea:Repository/);
    assert.match(
      created.stdout,
      /: \d+ created \(and \d+ components that group them\) in .*\nOutputs:\n/,
    );

    const shown = await run("projects", "show", slug, "--json");
    const project = JSON.parse(shown.stdout) as Record<string, unknown>;
    assert.deepEqual(
      [project["status"], project["name"], project["settings"]],
      ["ready", "My App", { name: "My App", sizes: { replicas: 2 } }],
    );
    assert.match(String((project["urls"] as { site: string }).site), /^https:\/\//);
    assert.match(String(project["tenantId"]), /^[0-9a-f-]{36}$/);
    assert.equal((project["outputs"] as Record<string, unknown>)["databaseUrl"], "[secret]");
    assert.match((await run("projects", "list")).stdout, new RegExp(`^${slug} {2}ready {2}`, "m"));

    const again = await run(...args, "--json");
    const lines = again.stdout.trim().split("\n");
    const { changes } = JSON.parse(lines.at(-1)!) as { changes: Record<string, number> };
    assert.deepEqual([changes["create"], changes["update"], changes["delete"]], [0, 0, 0]);

    assert.equal(
      (await run("projects", "destroy", slug)).code,
      2,
      "there is no terminal to ask on",
    );
    const started = await run("projects", "destroy", slug, "--yes", "--no-wait", "--json");
    const { id } = JSON.parse(started.stdout) as OperationView;
    const followed = await run("operations", "follow", id);
    assert.equal(followed.code, 0, followed.stdout + followed.stderr);
    assert.match(followed.stdout, /✓ deleted gitea:Repository/);
    const { stdout } = await run("operations", "list", "--project", slug);
    assert.match(stdout, /destroy \S+: succeeded, by ci\n.* up \S+: succeeded, by ci\n/);
    assert.match((await run("operations", "show", id)).stdout, /deleted/);
    const gone = await run("projects", "show", slug);
    assert.deepEqual([gone.code, /^RDEV_NOT_FOUND: /.test(gone.stderr)], [1, true]);
  });

  it("runs every command of the complete run in docs/api.md", async () => {
    const slug = uniqueSlug();
    const document = await readFile(new URL("../../docs/api.md", import.meta.url), "utf8");
    const [, script = ""] = /^## A complete run$.*?^```sh\n(.*?)^```$/ms.exec(document) ?? [];
    const { stdout } = await execa("bash", ["-euo", "pipefail"], {
      input: script.replaceAll("my-app", slug),
      env: variables,
    });
    const operations = [...stdout.matchAll(/^event: end\ndata: (.*)$/gm)].map(
      ([, data]) => JSON.parse(data!) as OperationView,
    );
    assert.deepEqual(
      operations.map(({ request, state }) => [
        request.kind,
        request.kind === "preview" ? request.of : undefined,
        state,
      ]),
      [
        ["preview", "up", "succeeded"],
        ["up", undefined, "succeeded"],
        ["refresh", undefined, "succeeded"],
        ["preview", "destroy", "succeeded"],
        ["destroy", undefined, "succeeded"],
      ],
      stdout.slice(-20_000),
    );
    assert.match(stdout, /"status":"ready"/);
    assert.match(stdout, /"action":"project.destroy"/);
  });

  it("names the fault of a request, of a key and of the address", async () => {
    const wrong = await run("projects", "create", "My App", "--config", 'sizes={"replicas":99}');
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /^RDEV_REQUEST: [\s\S]*body #\/sizes\/replicas: /);
    const key = `rdk_${"0".repeat(16)}_${"A".repeat(43)}`;
    const stranger = await runCli(["projects", "list"], {
      variables: { ...variables, RDEV_INFRA_KEY: key },
    });
    assert.match(stranger.stderr, /^RDEV_KEY: /);
    const none = { ...variables, RDEV_INFRA_KEY: undefined };
    const unset = await runCli(["projects", "list"], { variables: none });
    assert.deepEqual([unset.code, /RDEV_INFRA_KEY is missing/.test(unset.stderr)], [2, true]);
    const down = { ...variables, RDEV_INFRA_URL: "http://127.0.0.1:1" };
    const away = await runCli(["operations", "list"], { variables: down });
    assert.match(away.stderr, /^RDEV_UNREACHABLE: The API at /);
  });

  it("follows an operation to its end across a restart of the service", async () => {
    const slug = uniqueSlug();
    const { url } = service;
    const database = { DATABASE_URL: test.url, DATABASE_OWNER_URL: test.ownerUrl };
    let restarted: Promise<void> | undefined;
    const created = await runCli(["projects", "create", "My App", "--slug", slug], {
      variables,
      onOutput(stdout) {
        if (restarted || !/✓ created/.test(stdout)) return;
        restarted = (async () => {
          await service.stop();
          service = await startService({
            variables: { ...database, RDEV_INFRA_LISTEN: new URL(url).host },
          });
        })();
      },
    });
    await restarted;
    assert.equal(created.code, 0, created.stdout + created.stderr);
    assert.match(created.stderr, /The connection was lost/);
    assert.match(created.stdout, /created.* in /);
    const destroyed = await run("projects", "destroy", slug, "--yes");
    assert.equal(destroyed.code, 0, destroyed.stdout + destroyed.stderr);
  });
});
