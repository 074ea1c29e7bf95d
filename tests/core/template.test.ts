import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import {
  renderFile,
  renderText,
  TEMPLATE_VARIABLES,
  type TemplateValues,
} from "../../core/template.ts";
import { readTemplate } from "../../providers/git/template.ts";
import { thrown } from "../support/errors.ts";
import { renderTemplate } from "../support/render-template.ts";

const VALUES = {
  ...(Object.fromEntries(
    Object.keys(TEMPLATE_VARIABLES).map((name) => [name, `value-of-${name.toLowerCase()}`]),
  ) as unknown as TemplateValues),
  PROJECT_SLUG: "my-app",
};

describe("a template", () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), "rdev-template-"))));
  afterEach(() => rmSync(root, { recursive: true }));

  function write(path: string, content: string | Buffer) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }

  it("fills in the variables of every text file", () => {
    write("mine/a/b.txt", "{{PROJECT_SLUG}} at {{HOST}}, ${CI} {{ .Go }}\n");
    const [file] = readTemplate("mine", root);
    assert.ok(file);
    assert.equal(file.path, "a/b.txt");
    const text = renderFile(file, VALUES).content.toString();
    assert.equal(text, "my-app at value-of-host, ${CI} {{ .Go }}\n");
  });

  it("leaves binary files unchanged", () => {
    const content = Buffer.from("\0{{PROJECT_SLUG}}{{UNKNOWN}}");
    write("mine/logo.png", content);
    const [file] = readTemplate("mine", root);
    assert.ok(file);
    assert.deepEqual(renderFile(file, VALUES).content, content);
  });

  it("is refused with the file and line of every unknown variable", () => {
    write("mine/one.txt", "{{PROJECT_SLUG}}\n{{TYPO}}\n");
    write("mine/two.txt", "{{project_slug}}");
    const { message } = thrown("RDEV_TEMPLATE", () => readTemplate("mine", root));
    assert.ok(message.includes("one.txt:2: {{TYPO}}"), message);
    assert.ok(message.includes("two.txt:1: {{project_slug}}"), message);
    assert.ok(message.includes("PROJECT_SLUG, "), message);
  });

  it("is refused if it does not exist", () => {
    const { message } = thrown("RDEV_TEMPLATE", () => readTemplate("nothing", root));
    assert.ok(message.includes('"nothing"'), message);
  });

  it("inserts values unchanged, whatever they contain", () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const values = { ...VALUES, PROJECT_NAME: name };
        return renderText("<{{PROJECT_NAME}}>", values) === `<${name}>`;
      }),
    );
  });

  it("named skeleton renders to a service whose tests pass", function () {
    this.timeout(400_000);
    for (const { path, content } of renderTemplate("skeleton", "my-app", root)) {
      assert.ok(!/\{\{[A-Z_]+\}\}/.test(content.toString()), path);
    }
    execFileSync("go", ["vet", "./..."], { cwd: root, stdio: "pipe" });
    // Without the servers, as in the project's pipeline.
    const { DATABASE_URL: _, REDIS_URL: __, ...env } = process.env;
    execFileSync("go", ["test", "./..."], { cwd: root, stdio: "pipe", env });
  });
});
