import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "./run-cli.ts";

const NO_PASSPHRASE = {
  PULUMI_BACKEND_URL: "file:///nowhere",
  PULUMI_CONFIG_PASSPHRASE: undefined,
  PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
};

describe("rdev-infra", () => {
  it("prints the slug of a name", async () => {
    const { code, stdout } = await runCli(["slug", "My First Project!"]);
    assert.deepEqual([code, stdout], [0, "my-first-project\n"]);
  });

  it("prints the version of the package", async () => {
    const text = await readFile(new URL("../../package.json", import.meta.url), "utf8");
    const { version } = JSON.parse(text) as { version: string };
    const { code, stdout } = await runCli(["--version"]);
    assert.deepEqual([code, stdout], [0, `${version}\n`]);
  });

  it("keeps the compiled code in the user's cache folder, and works without one", async () => {
    const caches = await mkdtemp(join(tmpdir(), "rdev-caches-"));
    try {
      const file = join(caches, "file");
      await writeFile(file, "");
      for (const XDG_CACHE_HOME of [caches, file]) {
        const variables = { NODE_COMPILE_CACHE: undefined, XDG_CACHE_HOME };
        const { code, stdout, stderr } = await runCli(["slug", "shop"], { variables });
        assert.deepEqual([code, stdout, stderr], [0, "shop\n", ""]);
      }
      assert.notDeepEqual(await readdir(join(caches, "rdev-infra", "compiled")), []);
    } finally {
      await rm(caches, { recursive: true });
    }
  });

  it("documents its exit codes", async () => {
    const { code, stdout } = await runCli(["--help"]);
    assert.equal(code, 0);
    for (const number of [0, 1, 2, 3, 4, 5, 6, 130])
      assert.match(stdout, new RegExp(`^ {2}${number} `, "m"));
  });

  it("reports a Node that is too old before it loads any TypeScript", async () => {
    const { code, stdout, stderr } = await runCli(["slug", "x"], {
      nodeOptions: ["--no-experimental-strip-types"],
    });
    assert.deepEqual([code, stdout, stderr.trim().split("\n").length], [1, "", 1]);
    const text = await readFile(new URL("../../package.json", import.meta.url), "utf8");
    const { engines } = JSON.parse(text) as { engines: { node: string } };
    assert.ok(
      stderr.startsWith(`RDEV_PREREQUISITE: rdev-infra needs Node ${engines.node}, `),
      stderr,
    );
    assert.equal(engines.node, "^22.18.0 || >=23.6.0"); // since when it reads TypeScript without a flag
  });

  const wrong: [args: string[], said: RegExp][] = [
    [[], /Usage: rdev-infra/],
    [["bogus"], /^error: unknown command 'bogus'/],
    [["up"], /^error: missing required argument 'stack'/],
    [["up", "staging", "--colour"], /^error: unknown option '--colour'/],
    [["up", "staging", "--config", "domain"], /Expected key=value, such as name=Shop/],
    [["up", "staging", "--config", "sizes={replicas"], /begins like JSON but is not valid JSON/],
    [["up", "staging"], /^error: there is no terminal to ask on; pass --yes/],
    [["destroy", "staging", "--json"], /^error: there is no terminal to ask on; pass --yes/],
    [
      ["preview"],
      /^error: name exactly one of: <stack>, --all, --changed <base> or --stacks <names>/,
    ],
    [["preview", "staging", "--all"], /^error: name exactly one of/],
    [["preview", "--all", "--block", "x"], /^RDEV_SETTINGS: "x" is not a rule of --block/],
    [["preview", "--stacks", "Bad_Name"], /^RDEV_STACK_NAME/],
    [["preview", "--all", "--comment", "--commit", "x"], /^RDEV_SETTINGS: [\s\S]*--commit: "x"/],
    [["install", "staging"], /^error: required option '--check' not specified/],
    [["slug", "!!"], /^RDEV_SLUG: The name "!!" gives no valid slug/],
    [["preview", "Bad_Name"], /^RDEV_STACK_NAME: "Bad_Name" is not a stack name/],
    [["up", "staging.-x", "--yes"], /^RDEV_STACK_NAME: [\s\S]*"-x" is not a valid slug/],
    [["up", "a1.my-app", "--yes", "--config", "colour=red"], /^RDEV_SETTINGS: [\s\S]*colour/],
    [["refresh", "staging", "--yes"], /^RDEV_CONNECTION: PULUMI_CONFIG_PASSPHRASE is missing/],
    [["refresh", "staging"], /^RDEV_CONNECTION: PULUMI_CONFIG_PASSPHRASE is missing/],
  ];
  for (const [args, said] of wrong) {
    it(`exits with 2 on "${args.join(" ")}"`, async () => {
      const { code, stderr } = await runCli(args, { variables: NO_PASSPHRASE });
      assert.match(stderr, said);
      assert.doesNotMatch(stderr, /^\s+at /m);
      assert.equal(code, 2);
    });
  }

  it("prints the outcome as JSON even for an operation that did not start", async () => {
    const { stdout } = await runCli(["preview", "Bad_Name", "--json"]);
    const lines = stdout.trim().split("\n");
    assert.equal(lines.length, 1);
    const { event, operation, stack, result, errors } = JSON.parse(lines[0] ?? "") as {
      [key: string]: unknown;
      errors: { code: string }[];
    };
    assert.deepEqual(
      [event, operation, stack, result, errors[0]?.code],
      ["outcome", "preview", "Bad_Name", "failed", "RDEV_STACK_NAME"],
    );
  });

  it("says how to get Pulumi if it is not on PATH", async () => {
    const variables = { ...NO_PASSPHRASE, PULUMI_CONFIG_PASSPHRASE: "x", PATH: "/nonexistent" };
    const { code, stderr } = await runCli(["refresh", "staging"], { variables });
    assert.match(stderr, /^RDEV_PREREQUISITE: The command pulumi is not on PATH.*npm run sandbox/);
    assert.equal(code, 1);
  });
});
