import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { Citadel } from "../../providers/citadel/client.ts";
import type { CitadelEvent, Entry } from "../../providers/citadel/port.ts";
import { type Citadel as Server, startCitadel } from "../../sandbox/citadel/server.ts";
import { PLAN_QUERIES, planEvents } from "../contract/plan.ts";
import { type Ran, runCli } from "./run-cli.ts";

const EVENT: CitadelEvent = {
  message: "",
  level: "info",
  timestamp: "",
  service: "follow",
  environment: "e",
  target: "t",
};

describe("rdev-infra logs", () => {
  const organization = "orchard9";
  let server: Server;
  let citadel: Citadel;
  let platform: string;
  let project: string;

  before(async () => {
    server = await startCitadel({ organization });
    citadel = new Citadel(server);
    const make = async (slug: string, whose: Parameters<typeof planEvents>[0]) => {
      const { id } = await citadel.environments.create({
        slug,
        name: slug,
        organization,
        metadata: {},
      });
      await citadel.ingest(id, planEvents(whose));
      return id;
    };
    platform = await make("rdev-platform", "platform");
    project = await make("my-project", "project");
    await make("outsider", "outsider");
    await citadel.groups.put("projects");
    await citadel.groups.add("projects", project);
  });
  after(() => server.close());
  afterEach(() => server.misbehave(undefined));

  const variables = () => ({
    CITADEL_URL: server.url,
    CITADEL_API_KEY: server.apiKey,
    CITADEL_AGENT_KEY: undefined,
    CITADEL_TENANT_ID: undefined,
    NO_COLOR: "1",
  });
  const logs = (...args: string[]) => runCli(["logs", ...args], { variables: variables() });
  const entriesOf = ({ stdout }: Ran) =>
    stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Entry);

  describe("runs the plan's queries word for word and", () => {
    const scopes = {
      platform: ["--platform"],
      project: ["--project", "my-project"],
      group: ["--group", "projects"],
      organization: ["--all"],
    };
    for (const { cpl, scope, last, finds } of PLAN_QUERIES) {
      const args = [cpl, ...scopes[scope], ...(last ? ["--last", last] : [])];
      it(`finds exactly the expected lines: ${args.join(" ")}`, async () => {
        const ran = await logs(...args, "--json");
        assert.equal(ran.code, 0, ran.stderr);
        assert.deepEqual(
          entriesOf(ran)
            .map(({ message }) => message)
            .sort(),
          [...finds].sort(),
        );
      });
    }
  });

  it("prints the oldest line first, and says how many lines it left out", async () => {
    const { stdout, stderr, code } = await logs("component:http", "--platform", "--limit", "2");
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z INFO {2}rdev-api {2}.* ms {2}environment=staging target=contract component=http duration_ms=\d+/,
    );
    assert.equal(stdout.trim().split("\n").length, 2);
    assert.match(stderr, /The newest 2 of 5 lines/);
    const none = await logs("level:trace", "--platform");
    assert.deepEqual([none.code, none.stdout], [0, ""]);
    assert.match(none.stderr, /No line of the last 1h matches/);
  });

  it('finds every line with "*", and follows every line', async () => {
    const every = await logs("*", "--project", "my-project", "--last", "24h", "--json");
    assert.deepEqual(
      entriesOf(every)
        .map(({ message }) => message)
        .sort(),
      planEvents("project")
        .map(({ message }) => message)
        .sort(),
    );
    const followed = await runCli(["logs", "*", "--project", "my-project", "--json", "--follow"], {
      variables: variables(),
      onOutput: (_, child) => void child.kill("SIGINT"),
    });
    assert.ok(entriesOf(followed).length > 0, followed.stderr);
  });

  it("takes the platform's tenant from CITADEL_TENANT_ID", async () => {
    const args = ["logs", "level:error", "--platform", "--json"];
    const ran = await runCli(args, { variables: { ...variables(), CITADEL_TENANT_ID: project } });
    assert.deepEqual(
      entriesOf(ran).map(({ message }) => message),
      ["app broke"],
    );
  });

  const wrong: [args: string[], code: number, said: RegExp][] = [
    [["level:error"], 2, /^error: name whose logs to search/],
    [
      ["level:error", "--all", "--platform"],
      2,
      /option '--platform' cannot be used with option '--all'/,
    ],
    [["level:error", "--all", "--last", "1 hour"], 2, /Expected a time such as 30m, 1h or 7d/],
    [["level:error", "--all", "--last", "999999d"], 2, /Expected at most 3650d/],
    [["level:error", "--all", "--limit", "501"], 2, /Expected a number from 1 to 500/],
    [["level:error AND (", "--all"], 2, /^RDEV_QUERY: [\s\S]*\n {2}level:error AND \(\n {2} +\^/],
    [["level:error AND (", "--all", "--follow"], 2, /^RDEV_QUERY: /],
    [["level:error", "--project", "No_Slug"], 2, /^RDEV_SLUG: "No_Slug" is not a valid slug/],
    [
      ["level:error", "--project", "nobody"],
      1,
      /^RDEV_TENANT: Citadel has no environment "nobody"/,
    ],
    [["level:error", "--group", "nobody"], 1, /^RDEV_TENANT: .*nobody/],
  ];
  for (const [args, code, said] of wrong) {
    it(`exits with ${code} on "${args.join(" ")}"`, async () => {
      const ran = await logs(...args);
      assert.match(ran.stderr, said);
      assert.doesNotMatch(ran.stderr, /^\s+at /m);
      assert.deepEqual([ran.code, ran.stdout], [code, ""]);
    });
  }

  it("shows no key in its errors, whether or not it is well-formed", async () => {
    const planted = "ck_live_planted";
    for (const [key, said, code] of [
      [planted, /^RDEV_UNAUTHORIZED: Citadel refused CITADEL_API_KEY/, 1],
      [
        `${planted}\nX-Tenant-ID: a`,
        /^RDEV_CONNECTION: [\s\S]*CITADEL_API_KEY contains white space/,
        2,
      ],
    ] as const) {
      const ran = await runCli(["logs", "level:error", "--all"], {
        variables: { ...variables(), CITADEL_API_KEY: key },
      });
      assert.match(ran.stderr, said);
      assert.doesNotMatch(ran.stderr, /planted/);
      assert.equal(ran.code, code);
    }
  });

  describe("--follow", () => {
    const ingest = async (from: number, to: number) => {
      const events = [];
      for (let at = from; at < to; at += 1) {
        const timestamp = new Date().toISOString();
        events.push({ ...EVENT, message: `line ${at}`, timestamp });
      }
      await citadel.ingest(platform, events);
    };
    const expected = (count: number) => Array.from({ length: count }, (_, at) => `line ${at}`);

    it("resumes after broken connections without a missing or repeated line", async () => {
      await ingest(0, 3);
      const steps: ((child: ChildProcess) => Promise<void> | void)[] = [
        () => ingest(3, 6),
        async () => {
          server.cutTails();
          await ingest(6, 20);
        },
        async () => {
          // Citadel is away for a while; the lines that arrive meanwhile are shown afterwards.
          server.misbehave({ match: { path: /\/(tail|query)$/ }, reset: true, times: 3 });
          server.cutTails();
          await ingest(20, 90);
        },
        async () => {
          server.misbehave({ match: { path: /\/query$/ }, truncate: true, times: 1 });
          server.cutTails();
          await ingest(90, 95);
        },
        (child) => void child.kill("SIGINT"),
      ];
      const marks = [3, 6, 20, 90, 95];
      let step = 0;
      const ran = await runCli(["logs", "service:follow", "--platform", "--json", "--follow"], {
        variables: variables(),
        onOutput(stdout, child) {
          const lines = stdout.split("\n").length - 1;
          if (lines < (marks[step] ?? Infinity)) return;
          void steps[step++]?.(child);
        },
      });
      assert.deepEqual(
        entriesOf(ran).map(({ message }) => message),
        expected(95),
      );
      assert.match(ran.stderr, /Trying again/);
      assert.equal(ran.code, 130);
    }).timeout(60_000);

    it("ends when the reader of the pipe is gone", async () => {
      const ran = await runCli(["logs", "service:follow", "--platform", "--follow"], {
        variables: variables(),
        onOutput(_stdout, child) {
          child.stdout?.destroy();
          void ingest(95, 100);
        },
      });
      assert.equal(ran.code, 130);
    }).timeout(30_000);
  });
});
