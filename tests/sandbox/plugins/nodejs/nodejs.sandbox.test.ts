import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineEnvironment } from "../engine.ts";

const NODE_MODULES = join(import.meta.dirname, "../../../../node_modules");

const PROGRAM = `
import * as pulumi from "@pulumi/pulumi";
class Visible extends Error { readonly __pulumiRunError = true; }
class Kept extends pulumi.CustomResource {
  constructor(name: string, word: pulumi.Input<string>) {
    const provider = 'exports.handler = () => ({ create: async (i) => ({ id: "1", outs: { echo: i.word } }) })';
    super("pulumi-nodejs:dynamic:Kept", name, { word, echo: undefined, __provider: provider });
  }
  declare readonly echo: pulumi.Output<string>;
}
const config = new pulumi.Config();
if (config.get("fail") === "visible") throw new Visible("the slug is too long");
if (config.get("fail") === "bug") throw new TypeError("a bug");
console.log("a line of the program");
export const stack: string = pulumi.getStack();
export const token = config.getSecret("token");
export const echo = new Kept("kept", "a word").echo;
`;

interface Ended {
  readonly code: number;
  readonly output: string;
}

describe("stand-in for the language host of Node.js", function () {
  this.timeout(400_000);
  let folder: string;
  let environment: Record<string, string>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "language-host-"));
    environment = await engineEnvironment(folder);
    await symlink(NODE_MODULES, join(folder, "node_modules"));
    await writeFile(join(folder, "package.json"), '{"type": "module", "main": "index.ts"}');
    await writeFile(join(folder, "index.ts"), PROGRAM);
    await configure("{name: nodejs, options: {typescript: false}}");
    await pulumi("stack", "init", "test");
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const configure = (runtime: string) =>
    writeFile(join(folder, "Pulumi.yaml"), `name: plain\nmain: index.ts\nruntime: ${runtime}\n`);

  function pulumi(...args: string[]): Promise<Ended> {
    const options = { cwd: folder, env: { ...process.env, ...environment } };
    return new Promise((resolve) => {
      execFile("pulumi", [...args, "--color=never"], options, (error, stdout, stderr) => {
        const code = typeof error?.code === "number" ? error.code : 0;
        resolve({ code, output: stdout + stderr });
      });
    });
  }

  it("runs a TypeScript program as it is, with its config, output and dynamic resources", async () => {
    await pulumi("config", "set", "--secret", "token", "planted-secret");
    const up = await pulumi("up", "--yes", "--skip-preview");
    assert.equal(up.code, 0, up.output);
    assert.match(up.output, /a line of the program/);
    assert.match(up.output, /stack: "test"/);
    assert.match(up.output, /echo : "a word"/);
    assert.match(up.output, /token: \[secret\]/);
    assert.doesNotMatch(up.output, /planted-secret/);
    const preview = await pulumi("preview", "--expect-no-changes");
    assert.equal(preview.code, 0, preview.output);
    const destroy = await pulumi("destroy", "--yes", "--skip-preview");
    assert.equal(destroy.code, 0, destroy.output);
  });

  it("shows only the message of an error that is meant for the user", async () => {
    await pulumi("config", "set", "fail", "visible");
    const { code, output } = await pulumi("preview");
    assert.notEqual(code, 0);
    assert.match(output, /error: the slug is too long\n/);
    assert.doesNotMatch(output, /index\.ts:\d+|unhandled|non-zero/);
  });

  it("shows where any other error was thrown", async () => {
    await pulumi("config", "set", "fail", "bug");
    const { code, output } = await pulumi("preview");
    assert.notEqual(code, 0);
    assert.match(output, /TypeError: a bug/);
    assert.match(output, /index\.ts:\d+:\d+/);
  });

  it("says how to leave TypeScript to Node.js", async () => {
    await configure("nodejs");
    const { code, output } = await pulumi("preview");
    assert.notEqual(code, 0);
    assert.match(output, /options: \{typescript: false\}/);
  });
});
