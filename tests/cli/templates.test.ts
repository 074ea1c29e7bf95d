import assert from "node:assert/strict";
import { InfraError } from "../../core/errors.ts";
import { fakeService, type FakeService, PROJECT, PROJECTS } from "../support/fake-service.ts";
import { runCli } from "./run-cli.ts";

const VERSION = "0123456789abcdef";
const NEWEST = "fedcba9876543210";
const URL = "https://git.example.test/rdev/shop/pulls/3";

describe("rdev-infra template", function () {
  this.timeout(60_000);
  let service: FakeService;
  let variables: Record<string, string>;
  const asked: unknown[] = [];
  const run = (...args: string[]) => runCli(["template", ...args], { variables });

  before(async () => {
    const of = (slug: string, outdated: boolean) => ({
      ...PROJECT,
      slug,
      key: slug,
      template: {
        name: "skeleton",
        version: outdated ? VERSION : NEWEST,
        outdated,
        ...(slug === "shop" && { pullRequest: { number: 3, url: URL } }),
      },
    });
    const all = [of("blog", false), of("gone", true), of("shop", true)];
    const unknown = { ...PROJECT, slug: "older", key: "older", template: undefined };
    service = await fakeService({
      projects: {
        ...PROJECTS,
        list: async ({ template }) =>
          template ? all.filter((one) => one.template.outdated) : [...all, unknown],
      },
      templates: {
        list: () => [],
        async update(slug, options) {
          asked.push([slug, options.dryRun]);
          if (slug === "gone") throw new InfraError("RDEV_GONE", "The repository is gone.");
          return {
            slug,
            template: "skeleton",
            result: slug === "blog" ? "current" : "updated",
            dryRun: options.dryRun,
            version: VERSION,
            newest: NEWEST,
            pullRequest: slug === "blog" ? undefined : { number: 3, url: URL },
            files: slug === "blog" ? [] : ["a.go", "b.go"],
            conflicts:
              slug === "blog" ? [] : [{ paths: ["a.go"], reason: "CONFLICT (content): a.go" }],
          };
        },
      },
    });
    const url = await service.app.listen({ host: "127.0.0.1", port: 0 });
    variables = { RDEV_INFRA_URL: url, RDEV_INFRA_KEY: service.key("operator") };
  });
  after(() => service.app.close());
  beforeEach(() => void asked.splice(0));

  it("lists the projects whose template is known, or only the outdated ones", async () => {
    const lines = [
      `blog  current  skeleton  ${NEWEST}`,
      `gone  outdated  skeleton  ${VERSION}`,
      `shop  outdated  skeleton  ${VERSION}  ${URL}`,
    ];
    assert.equal((await run("list")).stdout, `${lines.join("\n")}\n`);
    assert.equal((await run("list", "--outdated")).stdout, `${lines.slice(1).join("\n")}\n`);
  });

  it("updates the projects that are named, and shows conflicts", async () => {
    const { code, stdout, stderr } = await run("update", "blog", "shop", "--dry-run");
    assert.deepEqual([code, stderr], [0, ""]);
    // Two at once, so in any order.
    assert.ok(stdout.includes("blog  current\n"), stdout);
    const updated = `shop  would update  ${URL}  2 files  1 conflict\n    CONFLICT (content): a.go\n`;
    assert.ok(stdout.includes(updated), stdout);
    assert.deepEqual(asked.toSorted(), [
      ["blog", true],
      ["shop", true],
    ]);
  });

  it("goes on with the others if one fails, and fails at the end", async () => {
    const { code, stdout, stderr } = await run("update", "--outdated", "--json");
    assert.equal(code, 1);
    assert.match(stderr, /^gone {2}RDEV_GONE: The repository is gone\.\n$/);
    const results = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { slug: string });
    assert.deepEqual(results.map(({ slug }) => slug).sort(), ["gone", "shop"]);
    assert.deepEqual(asked.toSorted(), [
      ["gone", false],
      ["shop", false],
    ]);
  });

  it("refuses to guess which projects are meant", async () => {
    for (const args of [[], ["shop", "--all"], ["--all", "--outdated"]]) {
      const { code, stderr } = await run("update", ...args);
      assert.equal(code, 2);
      assert.match(stderr, /name projects, or pass either --outdated or --all/);
    }
    assert.deepEqual(asked, []);
  });
});
