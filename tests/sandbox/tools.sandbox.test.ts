import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir, totalmem } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import type { ToolFamily } from "../../sandbox/tool-families.ts";
import { buildTools, missingForBuild, needsCompiler, plannedFamily } from "../../sandbox/tools.ts";

const TOOLS_MODULE = new URL("../../sandbox/tools.ts", import.meta.url).href;
const HELLO: ToolFamily = {
  name: "hello",
  programs: { hello: "example.test/hello/cmd/hello" },
  variables: (version) => ({ "main.version": version }),
  assets: ["words"],
};

describe("tools", () => {
  let folder: string;
  let options: { tools: string; cache: string; report: (part: string, text: string) => void };
  let reports: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-tools-"));
    reports = [];
    options = {
      tools: join(folder, "tools"),
      cache: join(folder, "cache"),
      report: (part, text) => reports.push(`${part}: ${text}`),
    };
    const source = join(folder, "source");
    await mkdir(join(source, "cmd/hello"), { recursive: true });
    await mkdir(join(source, "words"));
    await writeFile(join(source, "words/greeting"), "hello");
    await writeFile(join(source, "go.mod"), "module example.test/hello\n\ngo 1.21\n");
    await writeProgram('println("hello", version)');
    await mkdir(join(options.tools, "hello"), { recursive: true });
    await pin("v1.2.3");
    await writeFile(join(options.tools, "hello/go.sum"), "");
  });
  afterEach(() => rm(folder, { recursive: true }));

  const writeProgram = (body: string) =>
    writeFile(
      join(folder, "source/cmd/hello/main.go"),
      `package main\n\nvar version string\n\nfunc main() { ${body} }\n`,
    );
  const pin = (version: string) =>
    writeFile(
      join(options.tools, "hello/go.mod"),
      `module tools/hello\n\ngo 1.21\n\nrequire example.test/hello ${version}\n\n` +
        `replace example.test/hello => ${join(folder, "source")}\n`,
    );
  /** Go's println writes to standard error. */
  const output = async (program: string) => (await promisify(execFile)(program)).stderr.trim();

  it("builds the pinned version with its variables and assets, once", async () => {
    const { hello } = await buildTools({ hello: HELLO }, options);
    assert.equal(hello.version, "v1.2.3");
    assert.equal(await output(hello.program("hello")), "hello v1.2.3");
    assert.deepEqual(await readdir(join(hello.assets, "words")), ["greeting"]);
    assert.match(reports.join("\n"), /^hello: building v1\.2\.3\nhello: built in \d+ s$/);

    await buildTools({ hello: HELLO }, options);
    assert.equal(reports.length, 2, "nothing is built a second time");
  });

  it("builds again when the pin changes, beside the old one", async () => {
    const old = await buildTools({ hello: HELLO }, options);
    await pin("v1.3.0");
    const { hello } = await buildTools({ hello: HELLO }, options);
    assert.equal(await output(hello.program("hello")), "hello v1.3.0");
    assert.equal(await output(old.hello.program("hello")), "hello v1.2.3");
  });

  it("makes a second build wait for the first", async () => {
    const both = await Promise.all([1, 2].map(() => buildTools({ hello: HELLO }, options)));
    assert.equal(both[0]?.hello.program("hello"), both[1]?.hello.program("hello"));
    assert.equal(reports.filter((line) => /building/.test(line)).length, 1);
    assert.ok(reports.includes("hello: waiting for another process that builds it"));
  });

  it("starts with the slowest builds, and lets the compiler use memory", async () => {
    const started: string[] = [];
    const env: (string | undefined)[] = [];
    const families: Record<string, ToolFamily> = {};
    for (const [index, name] of ["quick", "slow", "slower"].entries()) {
      await cp(join(options.tools, "hello"), join(options.tools, name), { recursive: true });
      families[name] = {
        name,
        programs: { [name]: HELLO.programs["hello"]! },
        buildSeconds: index,
      };
    }
    await buildTools(families, {
      ...options,
      spawn: (_command, args, spawnOptions) => {
        started.push(basename(args[args.indexOf("-o") + 1] ?? ""));
        env.push(spawnOptions.env?.["GOGC"]);
        return spawn("sleep", ["0.1"], spawnOptions);
      },
    });
    assert.deepEqual([...started.slice(0, 2)].sort(), ["slow", "slower"]);
    assert.equal(started[2], "quick");
    const wanted = process.env["GOGC"] ?? (totalmem() < 8 * 2 ** 30 ? undefined : "400");
    assert.deepEqual(env, [wanted, wanted, wanted]);
  });

  it("builds a static program of this repository again when its code changes", async () => {
    const own: ToolFamily = {
      name: "hello",
      programs: { own: "./own" },
      versionOf: "example.test/hello",
      isStatic: true,
    };
    await mkdir(join(options.tools, "hello/own"));
    const write = (text: string) =>
      writeFile(
        join(options.tools, "hello/own/main.go"),
        `package main\n\nimport _ "net"\n\nfunc main() { println("${text}") }\n`,
      );
    await write("first");
    const first = await buildTools({ own }, options);
    assert.equal(first.own.version, "v1.2.3");
    await write("second");
    const second = await buildTools({ own }, options);
    assert.equal(await output(first.own.program("own")), "first");
    assert.equal(await output(second.own.program("own")), "second");
    // With C libraries, the package `net` would need an interpreter.
    assert.ok(!(await readFile(second.own.program("own"))).includes("ld-linux"));
  });

  it("reports the compiler's output, and leaves no partial build", async () => {
    await writeProgram("return 1");
    await assert.rejects(buildTools({ hello: HELLO }, options), /RDEV_SANDBOX.*main\.go:5/s);
    assert.equal((await plannedFamily(HELLO, options)).isBuilt, false);
    const left = await readdir(join(options.cache, "tools"));
    assert.deepEqual(
      left.filter((name) => !name.endsWith(".lock")),
      [],
    );
  });

  it("starts over after a killed build", async () => {
    const script = `
      const { buildTools } = await import(${JSON.stringify(TOOLS_MODULE)});
      const { spawn } = await import("node:child_process");
      // A compiler that never ends.
      const slow = (command, args, options) => spawn("sleep", ["60"], { ...options, stdio: "ignore" });
      const hello = { name: "hello", programs: ${JSON.stringify(HELLO.programs)} };
      console.log("started");
      await buildTools({ hello }, { ...${JSON.stringify(options)}, report: () => {}, spawn: slow });`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    const plain = { name: HELLO.name, programs: HELLO.programs };
    const tools = join(options.cache, "tools");
    while (!(await readdir(tools).catch(() => [])).some((name) => name.endsWith(".draft"))) {
      await new Promise((end) => setTimeout(end, 20));
    }
    process.kill(-(child.pid ?? 0), "SIGKILL");

    const { hello } = await buildTools({ hello: plain }, options);
    assert.equal(await output(hello.program("hello")), "hello");
    assert.ok(!(await readdir(tools)).some((name) => name.endsWith(".draft")));
  });

  it("needs Go and a C compiler only to build", async () => {
    const built = { ...options, cache: join(folder, "built") };
    await buildTools({ hello: HELLO }, built);
    const path = process.env.PATH;
    process.env.PATH = folder;
    try {
      const missing = await missingForBuild([HELLO], options);
      assert.match(
        missing[0] ?? "",
        /^Go 1\.21 or later .*to build hello: there is no `go` in PATH$/,
      );
      assert.equal(await needsCompiler([HELLO], options), false);
      assert.equal(await needsCompiler([{ ...HELLO, needsC: true }], options), true);
      assert.equal(await needsCompiler([{ ...HELLO, needsC: true }], built), false);
      assert.deepEqual(await missingForBuild([HELLO], built), []);
    } finally {
      process.env.PATH = path;
    }
  });
});
