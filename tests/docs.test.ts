import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ms, { type StringValue } from "ms";
import { EXIT_HELP } from "../cli/exit-codes.ts";
import { ERROR_CODES, HTTP_STATUS, type ErrorCode } from "../core/errors.ts";
import { DEFAULT_BLOCK, POLICIES } from "../core/previews/policies.ts";
import { TEMPLATE_VARIABLES } from "../core/template.ts";

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

const exists = (path: string) => existsSync(new URL(`../${path}`, import.meta.url));
const files = (...patterns: string[]) =>
  globSync(patterns, { cwd: new URL("..", import.meta.url) });

/** The anchors of a page's headings, as GitHub and Gitea make them. */
function anchors(page: string): Set<string> {
  return new Set(
    [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** The rows of the Markdown tables in a text, as cells without back-ticks. */
function rows(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => /^\| `/.test(line))
    .map((line) =>
      line
        .split("|")
        .map((cell) => cell.trim().replace(/^`(.*)`$/, "$1"))
        .slice(1, -1),
    );
}

const reference = read("docs/reference.md");

describe("docs/reference.md", () => {
  it("lists every error code, with the sentence and the HTTP status of the code", () => {
    const table = rows(reference).filter(([code = ""]) => /^RDEV_(?!INFRA)/.test(code));
    assert.deepEqual(
      table,
      Object.entries(ERROR_CODES).map(([code, sentence]) => [
        code,
        sentence,
        String(HTTP_STATUS[code as ErrorCode]),
      ]),
    );
  });

  it("lists every exit code as --help does", () => {
    const help = [...EXIT_HELP.matchAll(/^ {2}(\d+) +(.*)$/gm)].map(([, code, text]) => [
      code,
      text,
    ]);
    assert.ok(help.length > 5);
    assert.deepEqual(
      rows(reference).filter(([code]) => /^\d+$/.test(code ?? "")),
      help,
    );
  });

  it("names every environment variable of a connection", () => {
    const names =
      read("core/connection-schemas.ts").match(/\b[A-Z][A-Z0-9]*(_[A-Z0-9]+)+(?=:)/g) ?? [];
    assert.ok(names.length > 15);
    for (const name of names) assert.ok(reference.includes(`\`${name}\``), name);
  });

  it("names every setting", () => {
    const settings = [
      ...(read("core/settings.ts").match(/^ {2}(\w+)(?=: )/gm) ?? []),
      ...(read("core/service-settings.ts").match(/^ {4}(\w+)(?=: )/gm) ?? []),
    ];
    assert.ok(settings.length > 30);
    for (const name of settings) assert.ok(reference.includes(name.trim()), name);
  });
});

describe("docs/architecture.md", () => {
  const text = read("docs/architecture.md");

  it("gives each timer the value of its constant", () => {
    const timers = text
      .split("\n")
      .map((line) => line.split("|").map((cell) => cell.trim().replaceAll("`", "")))
      .filter(([, , value = ""]) => /^\d+ (ms|s|min|h)$/.test(value));
    assert.ok(timers.length > 40);
    for (const [, timer, value, constant = "", places = ""] of timers) {
      const found = milliseconds(constant, places.split(", "));
      assert.equal(found, ms(value as StringValue), `${timer}: ${constant}`);
    }
  });

  /** The value of `NAME` or `NAME * OTHER`, in ms. The files have one constant each, in this order. */
  function milliseconds(expression: string, [file = "", otherFile = ""]: string[]): number {
    const [name = "", operator, other = ""] = expression.split(" ");
    const inSeconds = /_S$|Seconds$/.test(name) || file.startsWith("components/citadel-agent/");
    const value = constantOf(name, file) * (inSeconds ? 1000 : 1);
    if (operator === undefined) return value;
    return operator === "/"
      ? value / constantOf(other, otherFile)
      : value * constantOf(other, otherFile);
  }

  /** The value of a constant, where a file says `NAME = 60` or `NAME: 1_000 * 60`. */
  function constantOf(name: string, file: string): number {
    const escaped = name.replaceAll(".", String.raw`\.`);
    const pattern = new RegExp(
      `(?<![\\w.])"?${escaped}"?(?: =|:) "?([\\d_.]+(?: \\* [\\d_]+)*)s?\\b`,
      "g",
    );
    const values = [...read(file).matchAll(pattern)].map(([, value = ""]) => value);
    assert.equal(values.length, 1, `${file} says what ${name} is ${values.length} times`);
    const factors = values[0]!.replaceAll("_", "").split(" * ").map(Number);
    return factors.reduce((a, b) => a * b);
  }
});

describe("docs/security.md", () => {
  it("names tests that exist, by file and title", () => {
    const cited = [
      ...read("docs/security.md").matchAll(/([\w-]+(?:\/[\w-]+)+): ((?:"[^"]+"(?:, )?)+)/g),
    ];
    assert.ok(cited.length > 50);
    for (const [, path = "", titles = ""] of cited) {
      const [file] = files(`tests/${path}.{sandbox,node}.test.ts`, `tests/${path}.test.ts`);
      assert.ok(file, path);
      for (const [, title = ""] of titles.matchAll(/"([^"]+)"/g)) {
        // A long title is cut with "…"; a title with a parameter has one in its middle.
        for (const part of title.split("…")) assert.ok(read(file).includes(part.trim()), title);
      }
    }
  });
});

describe("the pages", () => {
  const pages = ["README.md", "CONTRIBUTING.md", ...files("docs/*.md")];

  it("name files and folders that exist", () => {
    let found = 0;
    for (const page of pages) {
      for (const [, path = "", top = ""] of read(page).matchAll(
        /`(([\w.-]+)(?:\/[\w.-]+)*(?:\.(?:ts|js|lua|yml|json)|\/))`/g,
      )) {
        // Other projects' files are named as well, such as Fluent Bit's.
        if (page !== "docs/architecture.md" && !exists(top)) continue;
        found++;
        assert.ok(exists(path), `${page}: ${path}`);
      }
    }
    assert.ok(found > 100);
  });

  it("name functions and constants that their files have", () => {
    let found = 0;
    for (const page of pages) {
      for (const [, name = "", file = ""] of read(page).matchAll(
        /`(#?[\w.]+)`[^`.|]{0,9}\s(?:in|of)\s`([\w./-]+\.(?:ts|js|lua))`/g,
      )) {
        found++;
        const pattern = new RegExp(`(?<![\\w#.])${name.replaceAll(".", "\\.")}\\b`);
        assert.match(read(file), pattern, `${page}: ${file} has no ${name}`);
      }
    }
    assert.ok(found > 7);
  });

  it("link to files and headings that exist", () => {
    for (const page of pages) {
      for (const [, link = ""] of read(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
        const [path = "", heading] = link.split("#");
        const target = path === "" ? page : join(dirname(page), path);
        assert.ok(exists(target), `${page}: ${link}`);
        if (heading !== undefined) assert.ok(anchors(target).has(heading), `${page}: ${link}`);
      }
    }
  });

  it("list every template variable with its description", () => {
    const found = Object.fromEntries(rows(read("docs/templates.md"))) as Record<string, string>;
    const wanted = Object.fromEntries(
      Object.entries(TEMPLATE_VARIABLES).map(([name, sentence]) => [`{{${name}}}`, sentence]),
    );
    assert.deepEqual(found, wanted);
  });

  it("list every policy of previews with its description, and what blocks by default", () => {
    const text = read("docs/previews.md");
    assert.deepEqual(Object.fromEntries(rows(text)), POLICIES);
    assert.ok(text.includes(`\`${DEFAULT_BLOCK}\``));
  });

  describe("docs/citadel.md", () => {
    const page = read("docs/citadel.md");
    const cited = new Set([...page.replace(/\s+/g, " ").matchAll(/“([^”]+)”/g)].map(([, t]) => t));
    const titles = (...patterns: string[]) =>
      files(...patterns).flatMap((path) =>
        [...read(path).matchAll(/\bit\(\s*"([^"]+)"/g)].map(([, title]) => title),
      );

    it("names the tests of each rule, or says that it has none", () => {
      const rules = page.split(/^(?=- |#)/m).filter((part) => part.startsWith("- "));
      assert.ok(rules.length > 25);
      for (const rule of rules) assert.match(rule, /✓ “|[Nn]o test/);
    });

    it("names no test that does not exist", () => {
      const known = new Set(titles("tests/**/*citadel*.ts"));
      assert.deepEqual(
        [...cited].filter((title) => !known.has(title)),
        [],
      );
    });

    it("names every test of the contract and of the stand-in", () => {
      const wanted = titles("tests/contract/citadel.ts", "tests/sandbox/citadel*.test.ts");
      assert.ok(wanted.length > 60);
      assert.deepEqual(
        wanted.filter((title) => !cited.has(title)),
        [],
      );
    });
  });
});
