import assert from "node:assert/strict";
import { reportOf } from "../../automation/rollouts/report.ts";
import type { ServiceOptions } from "../../automation/service/options.ts";
import type { Rollout, RolloutEvent } from "../../core/rollout.ts";
import { type FakeService, fakeService, REQUEST, ROLLOUT } from "../support/fake-service.ts";
import { runCli } from "./run-cli.ts";

const { id, plan } = ROLLOUT;
const AT = new Date(0);
const LINE = `${id}  1970-01-01T00:00:00.000Z  0.1.0+new: planned, by rdev: 1 planned`;
const REPORT = reportOf([], "staging", "plan");
const ENDED: Rollout = { ...ROLLOUT, state: "succeeded", wave: 1, endedAt: AT };

describe("rdev-infra rollout", function () {
  this.timeout(60_000);
  let service: FakeService;
  let variables: Record<string, string>;
  /** The calls of the service, with what the command sent. */
  const calls: unknown[][] = [];
  let current: Rollout;

  before(async () => {
    const call =
      (name: string, after: Rollout) =>
      async (...sent: unknown[]) => {
        calls.push([name, ...sent.slice(0, -1)]);
        return (current = after);
      };
    const rollouts: ServiceOptions["rollouts"] = {
      start: call("start", ROLLOUT),
      approve: call("approve", ENDED),
      pause: call("pause", { ...ROLLOUT, state: "paused", reason: "paused by \u001b[31mrdev" }),
      resume: call("resume", ROLLOUT),
      cancel: call("cancel", { ...ROLLOUT, state: "cancelling" }),
      find: async (wanted) => (wanted === id ? current : undefined),
      list: async () => [current],
      projects: async () => [{ slug: "my-app", wave: 1, state: "planned", losesData: false }],
      report: async ({ state }) => ({ ...REPORT, of: state === "planned" ? "plan" : "result" }),
      events: async () => [],
      async *follow(_id, after, signal) {
        const events: RolloutEvent[] = [
          { event: "rollout", state: "planning" },
          { event: "rollout", state: "planned" },
        ];
        if (current.state === "succeeded") events.push({ event: "rollout", state: "succeeded" });
        for (const [index, event] of events.entries()) {
          if (index >= after) yield { number: index + 1, at: AT, event };
        }
        if (current.state !== "planned" || signal.aborted) return;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    };
    const rolloutRequests: ServiceOptions["rolloutRequests"] = {
      list: async (query) => {
        calls.push(["list requests", query]);
        return query.state === "expired" ? [] : [REQUEST];
      },
      cancel: async (...sent) => {
        calls.push(["cancel request", ...sent]);
        return { ...REQUEST, state: "cancelled", reason: "Cancelled by \u001b[31mbob." };
      },
    };
    service = await fakeService({ rollouts, rolloutRequests });
    const url = await service.app.listen({ port: 0, host: "127.0.0.1" });
    variables = { RDEV_INFRA_URL: url, RDEV_INFRA_KEY: service.key("admin"), NO_COLOR: "1" };
  });
  after(() => service.app.close());
  beforeEach(() => {
    calls.splice(0);
    current = ROLLOUT;
  });

  const run = (...args: string[]) => runCli(["rollout", ...args], { variables });

  it("plans what was selected, shows the plan, and approves nothing", async () => {
    const { code, stdout } = await run(
      ...["start", "--all", "--slugs", "shop-*,my-app", "--waves", "1,50%", "--at-once", "2"],
      ...["--no-error-check", "--pause", "0"],
    );
    assert.equal(code, 0);
    assert.match(stdout, /^planning\nplanned\nPlan: .*\nApprove it: rdev-infra rollout approve /s);
    assert.deepEqual(calls, [
      [
        "start",
        {
          ...ROLLOUT.request,
          select: { only: "all", slugs: ["shop-*", "my-app"] },
          waves: ["1", "50%"],
          atOnce: 2,
          pauseSeconds: 0,
          checks: { ready: true, errors: false },
        },
      ],
    ]);
  });

  it("approves the plan that it showed, and shows each event once", async () => {
    const { code, stdout } = await run("start", "--yes");
    assert.equal(code, 0);
    assert.deepEqual(calls[1], ["approve", id, { plan, dataLoss: false }]);
    assert.match(stdout, /^planning\nplanned\nPlan: [^\n]*\n(?:(?!plann).*\n)*succeeded\n/);
  });

  it("prints lines of JSON, the last of them the rollout with the plan to approve", async () => {
    const { stdout } = await run("start", "--json");
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Partial<Rollout>);
    const last = lines.at(-1);
    assert.deepEqual([last?.id, last?.plan, last?.state], [id, plan, "planned"]);
  });

  it("lists and shows rollouts, and does not print control characters", async () => {
    assert.equal((await run("list")).stdout, `${LINE}\n`);
    const { stdout } = await run("show", id);
    assert.ok(stdout.startsWith(`${LINE}\n  wave 1  my-app: planned\nPlan: `), stdout);
    const paused = await run("pause", id);
    assert.ok(paused.stdout.includes("paused (") && !paused.stdout.includes("\u001b"));
    assert.deepEqual(calls, [["pause", id]]);
  });

  it("approves only with --yes if there is no terminal", async () => {
    const refused = await run("approve", id);
    assert.deepEqual([refused.code, calls], [2, []]);
    assert.equal((await run("approve", id, "--yes", "--data-loss")).code, 0);
    assert.deepEqual(calls, [["approve", id, { plan, dataLoss: true }]]);
  });

  it("lists the requests of merged pull requests, and cancels one", async () => {
    const line = `${id}  ${REQUEST.createdAt}  #7 at cccccccccc, 0.2.0+newer: `;
    const listed = await run("requests", "list", "--state", "waiting", "--limit", "3");
    assert.equal(listed.stdout, `${line}waiting until ${REQUEST.expiresAt}, by user:ada\n`);
    const cancelled = await run("requests", "cancel", id);
    assert.ok(cancelled.stdout.startsWith(`${line}cancelled (Cancelled by `), cancelled.stdout);
    assert.ok(!cancelled.stdout.includes("\u001b"), cancelled.stdout);
    const json = await run("requests", "list", "--json");
    assert.deepEqual(JSON.parse(json.stdout), REQUEST);
    const none = await run("requests", "list", "--state", "expired");
    assert.deepEqual([none.stdout, none.stderr], ["", "No requests.\n"]);
    assert.deepEqual(calls, [
      ["list requests", { limit: 4, before: undefined, state: "waiting" }],
      ["cancel request", id, "a-admin"],
      ["list requests", { limit: 21, before: undefined, state: undefined }],
      ["list requests", { limit: 21, before: undefined, state: "expired" }],
    ]);
  });

  it("fails for a rollout that does not exist", async () => {
    const { code, stderr } = await run("show", id.replace("0193", "0194"));
    assert.equal(code, 1);
    assert.match(stderr, /RDEV_NOT_FOUND/);
  });
});
