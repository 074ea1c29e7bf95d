import { type Command, InvalidArgumentError } from "commander";
import { z } from "zod";
import type { ProjectLabels } from "../../core/project-labels.ts";
import type { Rollout, RolloutReport } from "../../core/rollout.ts";
import type { RolloutEventView, RolloutView } from "../../automation/service/schemas/rollout.ts";
import { EXIT } from "../exit-codes.ts";
import { askable, goAhead } from "../operation.ts";
import { labels, wholeNumber } from "../options.ts";
import { printable } from "../text.ts";
import { addRolloutRequests } from "./rollout-requests.ts";

export function addRollout(program: Command): void {
  const rollout = program
    .command("rollout")
    .description("bring the service's version of the program to many projects, in waves");
  rollout
    .command("start")
    .description("plan a rollout, and show its plan")
    .option("--all", "also projects that are at this version already")
    .option("--slugs <patterns>", "only these, such as shop-*,blog", list)
    .option("--template <name>", "only projects of this template")
    .option("--labels <labels>", "only projects with all of these, such as team=shop", labels)
    .option("--canaries <slugs>", "these come first", list)
    .option("--waves <sizes>", "numbers, percentages and rest", list, ["1", "10%", "rest"])
    .option("--at-once <operations>", "1 to 100", wholeNumber(1, 100), 4)
    .option("--max-failures <projects>", "stop after so many", wholeNumber(1, 10_000), 1)
    .option("--pause <seconds>", "between waves, before the checks", wholeNumber(0, 86_400), 60)
    .option("--deadline <minutes>", "for one operation", wholeNumber(1, 1_440), 30)
    .option("--no-ready-check", "do not check that Deployments are ready")
    .option("--no-error-check", "do not compare the errors in Citadel")
    .option("-y, --yes", "approve the plan at once, if the platform lets you approve your own")
    .option("--json", "print the events, the plan and the result as lines of JSON")
    .action(start);
  rollout
    .command("list")
    .description("list the newest rollouts, newest first")
    .option("--state <state>", "only this state, such as planned or running")
    .option("--limit <rollouts>", "1 to 200", wholeNumber(1, 200), 20)
    .option("--json", "print each rollout as JSON")
    .action(listed);
  rollout
    .command("show <id>")
    .description("show a rollout with its projects, and its plan or results")
    .option("--json", "print the rollout, its projects and its report as JSON")
    .action(show);
  rollout
    .command("follow <id>")
    .description("show a rollout to its end")
    .option("--json", "print its events as lines of JSON")
    .action(followed);
  rollout
    .command("approve <id>")
    .description("show the plan of a rollout, and approve it")
    .option("--data-loss", "also approve plans that delete or replace what holds data (role admin)")
    .option("-y, --yes", "go ahead without asking")
    .action(approve);
  for (const [action, description] of [
    ["pause", "begin nothing new; operations that run go on"],
    ["resume", "go on with a paused rollout"],
    ["cancel", "begin nothing new, and cancel the operations that run"],
  ] as const) {
    rollout
      .command(`${action} <id>`)
      .description(description)
      .action((id: string) => change(id, action));
  }
  addRolloutRequests(rollout);
}

function list(text: string): string[] {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.every((part) => part !== "")) return parts;
  throw new InvalidArgumentError("Expected a list with commas, such as one,two.");
}

interface StartOptions {
  readonly all?: true;
  readonly slugs?: string[];
  readonly template?: string;
  readonly labels?: ProjectLabels;
  readonly canaries?: string[];
  readonly waves: string[];
  readonly atOnce: number;
  readonly maxFailures: number;
  readonly pause: number;
  readonly deadline: number;
  readonly readyCheck: boolean;
  readonly errorCheck: boolean;
  readonly yes?: true;
  readonly json?: true;
}

async function start(options: StartOptions): Promise<void> {
  const {
    all,
    slugs,
    template,
    labels: wanted,
    canaries,
    waves,
    atOnce,
    maxFailures,
    json,
  } = options;
  const { api, rolloutSchema } = await open();
  const started = await api.call("POST", "/v1/rollouts", rolloutSchema, {
    json: {
      select: { only: all ? "all" : "outdated", slugs, template, labels: wanted },
      canaries,
      waves,
      atOnce,
      maxFailures,
      pauseSeconds: options.pause,
      deadlineMinutes: options.deadline,
      checks: { ready: options.readyCheck, errors: options.errorCheck },
    },
  });
  const { id } = started;
  if (!json) console.error(`Rollout ${id} of version ${started.version}.`);
  const { rollout: planned, last } = await follow(id, { json, until: "planned" });
  if (planned.state !== "planned") return finish(planned, json);
  await report(planned, json);
  if (!options.yes) {
    console.log(json ? JSON.stringify(planned) : `Approve it: rdev-infra rollout approve ${id}`);
    return;
  }
  await approvePlan(planned, false);
  finish((await follow(id, { json, after: last })).rollout, json);
}

interface ListOptions {
  readonly state?: string;
  readonly limit: number;
  readonly json?: true;
}

async function listed({ state, limit, json }: ListOptions): Promise<void> {
  const { api, rolloutPage } = await open();
  const { items } = await api.call("GET", "/v1/rollouts", rolloutPage, { query: { state, limit } });
  for (const rollout of items) console.log(json ? JSON.stringify(rollout) : line(rollout));
  if (items.length === 0) console.error("No rollouts.");
}

async function show(id: string, { json }: { json?: true }): Promise<void> {
  const { api, rolloutSchema, projectsSchema, reportSchema } = await open();
  const [rollout, { items }, grouped] = await Promise.all([
    api.call("GET", pathOf(id), rolloutSchema),
    api.call("GET", `${pathOf(id)}/projects`, projectsSchema),
    api.call("GET", `${pathOf(id)}/report`, reportSchema),
  ]);
  if (json) return console.log(JSON.stringify({ ...rollout, projects: items, report: grouped }));
  console.log(line(rollout));
  for (const project of items) console.log(projectLine(project));
  await printReport(grouped);
}

async function followed(id: string, { json }: { json?: true }): Promise<void> {
  const { rollout: ended } = await follow(id, { json });
  if (!json) await report(ended, json);
  finish(ended, json);
}

interface ApproveOptions {
  readonly dataLoss?: boolean;
  readonly yes?: true;
}

async function approve(id: string, { dataLoss = false, yes }: ApproveOptions): Promise<void> {
  if (!askable({ yes })) {
    process.exitCode = EXIT.usage;
    return;
  }
  const { api, rolloutSchema } = await open();
  const rollout = await api.call("GET", pathOf(id), rolloutSchema);
  await report(rollout, undefined);
  if (!yes && !(await goAhead(() => []))) {
    console.error("Nothing was approved.");
    process.exitCode = EXIT.failed;
    return;
  }
  console.log(line(await approvePlan(rollout, dataLoss)));
}

async function change(id: string, action: "pause" | "resume" | "cancel"): Promise<void> {
  const { api, rolloutSchema } = await open();
  console.log(line(await api.call("POST", `${pathOf(id)}/${action}`, rolloutSchema)));
}

/** Approves the plan that was shown; the service refuses if it is another one by now. */
async function approvePlan({ id, plan }: RolloutView, dataLoss: boolean): Promise<RolloutView> {
  const { api, rolloutSchema } = await open();
  const json = { plan: plan ?? "none", dataLoss };
  return api.call("POST", `${pathOf(id)}/approve`, rolloutSchema, { json });
}

interface FollowOptions {
  readonly json?: true | undefined;
  /** Ends in this state already. Default: only in a final one. */
  readonly until?: Rollout["state"];
  /** Shows only events after this number. Default: 0. */
  readonly after?: number;
}

interface Followed {
  readonly rollout: RolloutView;
  /** The number of the last event that was shown. */
  readonly last: number;
}

/** Shows the events of a rollout. */
async function follow(id: string, { json, until, after = 0 }: FollowOptions): Promise<Followed> {
  const { api, rolloutSchema, eventSchema, followToEnd } = await open();
  const stop = new AbortController();
  const reached = new Promise<void>((resolve) =>
    stop.signal.addEventListener("abort", () => resolve()),
  );
  let last = after;
  const end = followToEnd(api, `${pathOf(id)}/events`, {
    onEvent: (data) => {
      const event = eventSchema.parse(data);
      if (event.number <= last || stop.signal.aborted) return;
      last = event.number;
      console.log(json ? JSON.stringify(event) : eventLine(event));
      if (event.event.event === "rollout" && event.event.state === until) stop.abort();
    },
    note: (text) => console.error(text),
    signal: stop.signal,
  });
  end.catch(() => undefined);
  const ended = await Promise.race([end, reached]);
  const rollout =
    ended === undefined
      ? await api.call("GET", pathOf(id), rolloutSchema)
      : rolloutSchema.parse(ended);
  return { rollout, last };
}

async function report({ id }: RolloutView, json: true | undefined): Promise<void> {
  const { api, reportSchema } = await open();
  const found = await api.call("GET", `${pathOf(id)}/report`, reportSchema);
  if (json) return console.log(JSON.stringify(found));
  await printReport(found);
}

async function printReport(found: RolloutReport): Promise<void> {
  const [{ groupedLines }, { summaryLine }] = await Promise.all([
    import("../views/report-lines.ts"),
    import("../../core/previews/report.ts"),
  ]);
  const title = found.of === "plan" ? "Plan" : "Result";
  console.log(groupedLines(found, `${title}: ${summaryLine(found)}.`).join("\n"));
}

function finish(rollout: RolloutView, json: true | undefined): void {
  console.log(json ? JSON.stringify(rollout) : line(rollout));
  process.exitCode = rollout.state === "succeeded" ? EXIT.done : EXIT.failed;
}

function line({ id, createdAt, version, state, reason, actor, totals, ...more }: RolloutView) {
  const counts = Object.entries(totals)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`);
  const why = reason === undefined ? "" : ` (${printable(reason)})`;
  const wave = more.wave > 0 ? `, wave ${more.wave} of ${more.waves}` : "";
  return `${id}  ${createdAt}  ${version}: ${state}${why}${wave}, by ${printable(actor)}: ${counts.join(", ")}`;
}

type Shown = Pick<
  Extract<RolloutEventView["event"], { event: "project" }>,
  "slug" | "wave" | "state" | "reason"
>;

function projectLine({ slug, wave, state, reason }: Shown): string {
  const why = reason ? ` (${reason.code}: ${printable(reason.message.split("\n")[0] ?? "")})` : "";
  return `  wave ${wave}  ${slug}: ${state}${why}`;
}

function eventLine({ event }: RolloutEventView): string {
  if (event.event === "project") return projectLine(event);
  if (event.event === "wave") return `wave ${event.wave} ${event.state}`;
  return `${event.state}${event.reason === undefined ? "" : ` (${printable(event.reason)})`}`;
}

function pathOf(id: string): string {
  return `/v1/rollouts/${encodeURIComponent(id)}`;
}

/** Loads the modules that only these commands need. */
async function open() {
  const [{ ApiClient }, { followToEnd }, schemas, shapes, { pageOf }] = await Promise.all([
    import("../api/client.ts"),
    import("../api/follow.ts"),
    import("../../automation/service/schemas/rollout.ts"),
    import("../../core/rollout.ts"),
    import("../../automation/service/schemas/page.ts"),
  ]);
  return {
    api: new ApiClient(),
    followToEnd,
    rolloutSchema: schemas.rolloutSchema,
    eventSchema: schemas.rolloutEventSchema,
    rolloutPage: pageOf(schemas.rolloutSchema),
    projectsSchema: z.object({ items: z.array(shapes.rolloutStack) }),
    reportSchema: shapes.rolloutReport,
  };
}
