import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import { importsOf, stacksChangedSince } from "../../../automation/previews/changed.ts";

const run = promisify(execFile);

const STACKS = ["staging", "staging.blog", "staging.shop"];
const PROJECTS = STACKS.slice(1);
const FILES = {
  "index.ts": 'import "./stacks/platform.ts";\nawait import("./stacks/project.ts");\n',
  "stacks/platform.ts": 'import "../core/labels.ts";\nimport "../components/registry.ts";\n',
  "stacks/project.ts":
    'import "../core/labels.ts";\nimport { x } from "../components/database.ts";\n',
  "core/labels.ts": "export {};\n",
  "components/registry.ts": "export {};\n",
  "components/database.ts": 'export * from "./pod.ts";\n',
  "components/pod.ts": "export const x = 1;\n",
  "components/unused.ts": "export {};\n",
  "Pulumi.staging.shop.yaml": "config:\n  rdev:template: site\n",
  "Pulumi.staging.blog.yaml": "config:\n  rdev:slug: blog\n",
  "templates/site/index.html": "<p>\n",
  "docs/a.md": "# A\n",
  "package-lock.json": "{}\n",
};

describe("stacksChangedSince, in a real repository", () => {
  let root: string;
  const git = async (...args: string[]) => {
    const identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.test"];
    return (await run("git", [...identity, ...args], { cwd: root })).stdout.trim();
  };
  const write = async (file: string, text: string) => {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), text);
  };
  const commit = async () => {
    await git("add", "--all");
    await git("commit", "--quiet", "--message", "a change");
  };
  const changed = async (base = "base") =>
    (await stacksChangedSince(base, STACKS, { root, workDir: root })).stacks;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "rdev-changed-"));
    await git("init", "--quiet", "--initial-branch", "main");
    for (const [file, text] of Object.entries(FILES)) await write(file, text);
    await commit();
    await git("tag", "base");
  });
  afterEach(() => rm(root, { recursive: true }));

  it("selects none if nothing changed, or only files outside every program", async () => {
    assert.deepEqual(await changed(), []);
    await write("docs/a.md", "# B\n");
    await write("components/unused.ts", "export const y = 1;\n");
    await commit();
    assert.deepEqual(await changed(), []);
  });

  it("selects the stacks whose program imports a changed file, directly or not", async () => {
    await write("components/pod.ts", "export const x = 2;\n");
    await commit();
    assert.deepEqual(await changed(), PROJECTS);
    assert.deepEqual(await changed("HEAD"), []);
  });

  it("includes uncommitted changes and new files", async () => {
    await write("components/registry.ts", "export const y = 1;\n");
    assert.deepEqual(await changed(), ["staging"]);
    await write("templates/site/new file.html", "<p>\n");
    assert.deepEqual(await changed(), ["staging", "staging.shop"]);
  });

  it("includes deleted and renamed files", async () => {
    await rename(join(root, "components/pod.ts"), join(root, "components/pods.ts"));
    await write("components/database.ts", 'export * from "./pods.ts";\n');
    await commit();
    assert.deepEqual(await changed(), PROJECTS);
    await git("tag", "--force", "base");
    await rm(join(root, "Pulumi.staging.shop.yaml"));
    await commit();
    assert.deepEqual(await changed(), ["staging.shop"]);
    await git("tag", "--force", "base");
    await rm(join(root, "templates/site/index.html"));
    await commit();
    assert.deepEqual(await changed(), ["staging.shop"]); // without its file, it may have any template
  });

  it("selects all stacks if a program imports a missing file", async () => {
    await rm(join(root, "components/pod.ts"));
    await commit();
    const { stacks, why } = await stacksChangedSince("base", STACKS, { root, workDir: root });
    assert.deepEqual(stacks, STACKS);
    assert.match(why, /^all: .* cannot be determined .*pod\.ts/);
  });

  it("ignores what the base has changed since the branches parted", async () => {
    await git("switch", "--quiet", "--create", "topic");
    await write("components/registry.ts", "export const y = 1;\n");
    await commit();
    await git("switch", "--quiet", "main");
    await write("components/pod.ts", "export const x = 2;\n");
    await commit();
    await git("switch", "--quiet", "topic");
    assert.deepEqual(await changed("main"), ["staging"]);
  });

  it("selects all stacks for an unknown kind of file", async () => {
    await write("package-lock.json", '{ "name": "x" }\n');
    await write("docs/a.md", "# B\n");
    await commit();
    const { stacks, why } = await stacksChangedSince("base", STACKS, { root, workDir: root });
    assert.deepEqual(stacks, STACKS);
    assert.equal(why, "all: package-lock.json may affect any stack");
  });

  it("selects all stacks without a common commit, or without a repository", async () => {
    await git("switch", "--quiet", "--orphan", "other");
    for (const [file, text] of Object.entries(FILES)) await write(file, text);
    await write("docs/a.md", "# Another beginning\n");
    await commit();
    assert.deepEqual(await changed(), STACKS);
    await rm(join(root, ".git"), { recursive: true });
    const { stacks, why } = await stacksChangedSince("base", STACKS, { root, workDir: root });
    assert.deepEqual(stacks, STACKS);
    assert.match(why, /^all: .*not a git repository/);
  });

  it("selects all stacks, with the reason, if git does not know the base", async () => {
    for (const base of ["origin/mian", "--all", "base:docs/a.md", ""]) {
      const { stacks, why } = await stacksChangedSince(base, STACKS, { root, workDir: root });
      assert.deepEqual(stacks, STACKS);
      assert.ok(why?.startsWith(`all: what changed since ${base} cannot be determined (`), why);
    }
  });
});

const ROOT = join(import.meta.dirname, "../../..");

describe("importsOf", () => {
  it("finds what dependency-cruiser finds, type imports included", async () => {
    const { output } = await cruise(["index.ts"], {
      baseDir: ROOT,
      doNotFollow: { path: "node_modules" },
      exclude: { path: "^(node_modules|templates)/" },
      tsPreCompilationDeps: true,
    });
    const own = (output as ICruiseResult).modules.filter(
      ({ coreModule, couldNotResolve, source }) =>
        !coreModule && !couldNotResolve && source.endsWith(".ts"),
    );
    const found = await importsOf(ROOT, "index.ts");
    assert.ok(own.length > 50);
    assert.deepEqual(
      own.map(({ source }) => source).filter((file) => !found.has(file)),
      [],
    );
  });

  it("follows every form of import, and ignores imports in comments and strings", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rdev-imports-"));
    const forms = [
      'import type { A } from "./a.ts";',
      'import { type B } from "./b.ts";',
      'export type { C } from "./c.ts";',
      'export * from "./d.ts";',
      'import "./e.ts";',
      'const f = await import("./f.ts");',
      'const text = \'import "./none.ts"\'; // import "./none.ts"',
    ];
    await writeFile(join(folder, "index.ts"), `${forms.join("\n")}\n`);
    for (const name of "abcdef") await writeFile(join(folder, `${name}.ts`), "export {};\n");
    const found = [...(await importsOf(folder, "index.ts"))].toSorted();
    await rm(folder, { recursive: true });
    assert.deepEqual(found, ["a.ts", "b.ts", "c.ts", "d.ts", "e.ts", "f.ts", "index.ts"]);
  });
});
