import assert from "node:assert/strict";
import type { Drift } from "../../core/drift.ts";
import { DRIFT, type FakeService, fakeService } from "../support/fake-service.ts";
import { runCli } from "./run-cli.ts";

const FAILED: Drift = {
  slug: "other",
  state: "failed",
  changes: [],
  fixableBy: "nothing",
  error: { message: "Redis does not answer.", since: "2026-01-01T00:00:00.000Z" },
};

const RED = "\u001b[31m";
const [CHANGE] = DRIFT.changes;
const HOSTILE: Drift = {
  ...DRIFT,
  slug: "hostile",
  changes: [
    {
      ...CHANGE!,
      name: `app${RED}`,
      properties: [{ path: `x${RED}`, kind: "update", replaces: false, old: RED, new: "a\nb" }],
      by: [{ manager: `edit${RED}` }],
    },
  ],
  error: { message: `no${RED}`, since: "2026-01-01T00:00:00.000Z" },
};

describe("rdev-infra drift and projects", function () {
  this.timeout(60_000);
  let service: FakeService;
  let variables: Record<string, string>;

  before(async () => {
    service = await fakeService({
      drift: {
        find: async (slug) => (slug === HOSTILE.slug ? HOSTILE : DRIFT),
        list: async () => [DRIFT, FAILED],
        runs: async () => [],
      },
    });
    const url = await service.app.listen({ port: 0, host: "127.0.0.1" });
    variables = { RDEV_INFRA_URL: url, RDEV_INFRA_KEY: service.key("operator"), NO_COLOR: "1" };
  });
  after(() => service.app.close());
  beforeEach(() => void service.submitted.splice(0));

  const run = (...args: string[]) => runCli(args, { variables });

  it("lists what differs and what could not be looked at", async () => {
    const { code, stdout, stderr } = await run("drift", "list");
    assert.deepEqual(
      [code, stdout, stderr],
      [
        0,
        "my-app  drifted: 1 object differs since 2026-01-01T03:04:05.678Z (fixable by updates)\n" +
          "other  failed: not looked at since 2026-01-01T00:00:00.000Z: Redis does not answer.\n",
        "Nobody has looked at all projects yet.\n",
      ],
    );
    const lines = (await run("drift", "list", "--json")).stdout.trim().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as Drift),
      [DRIFT, FAILED],
    );
  });

  it("lists the projects of a key that is bound to some", async () => {
    const RDEV_INFRA_KEY = service.key("viewer", { project: "my-app" });
    const { code, stdout, stderr } = await runCli(["drift", "list"], {
      variables: { ...variables, RDEV_INFRA_KEY },
    });
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^my-app {2}drifted/);
  });

  it("shows what, since when, and by whom", async () => {
    const { stdout } = await run("drift", "show", "my-app");
    assert.equal(
      stdout,
      "my-app  drifted: 1 object differs since 2026-01-01T03:04:05.678Z (fixable by updates)\n" +
        "  kubernetes:Deployment my-app differs since 2026-01-01T03:04:05.678Z, " +
        "by kubectl-edit at 2026-01-01T02:00:00.000Z\n" +
        "    spec.replicas: 1 → 3\n",
    );
  });

  it("shows no text from a server that could control the terminal or look like two lines", async () => {
    const { stdout } = await run("drift", "show", "hostile");
    assert.ok(!stdout.includes("\u001b"));
    const [line, ...more] = stdout.trimEnd().split("\n");
    assert.match(line ?? "", /: no\\u001b\[31m$/);
    assert.deepEqual(more, [
      "  kubernetes:Deployment app\\u001b[31m differs since 2026-01-01T03:04:05.678Z, " +
        "by edit\\u001b[31m",
      "    x\\u001b[31m: \\u001b[31m → a\\nb",
    ]);
  });

  it("begins a look at all projects, and stops, starts and extends one", async () => {
    assert.match(
      (await run("drift", "check")).stdout,
      /^The last look .* began .*: 1 of 2, 1 drifted/,
    );
    for (const verb of ["stop", "start"]) {
      assert.equal((await run("projects", verb, "my-app", "--no-wait")).code, 0);
    }
    assert.equal((await run("projects", "extend", "my-app", "--forever", "--no-wait")).code, 0);
    assert.deepEqual(
      service.submitted.map(({ request }) => request.kind === "up" && request.settings),
      [{ stopped: true }, { stopped: false }, { expiresAt: "never" }],
    );
    const wrong = await run("projects", "extend", "my-app");
    assert.deepEqual([wrong.code, wrong.stderr], [2, "error: pass either --ttl or --forever\n"]);
  });

  it("creates a project with a time to live from now", async () => {
    const before = Date.now();
    assert.equal((await run("projects", "create", "New App", "--ttl", "2d", "--no-wait")).code, 0);
    const [sent] = service.submitted;
    assert.ok(sent?.request.kind === "up");
    const ends = Date.parse(sent.request.settings.expiresAt ?? "") - 2 * 86_400_000;
    assert.ok(ends >= before && ends <= Date.now());
  });
});
