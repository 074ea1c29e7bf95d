import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import type { Drift, DriftRun } from "../../core/drift.ts";
import { typeText } from "../../core/engine-values.ts";
import { InfraError } from "../../core/errors.ts";
import { count } from "../../core/previews/text.ts";
import { EXIT, exitCode } from "../exit-codes.ts";
import { printable } from "../text.ts";

export function addDrift(program: Command): void {
  const drift = program
    .command("drift")
    .description(
      "what others changed on the servers of projects, through the API of RDEV_INFRA_URL",
    );
  drift
    .command("list")
    .description(
      "list projects that differ from their last up, and those that could not be looked at",
    )
    .option("--state <state>", "only this state: unchecked, clean, drifted or failed")
    .option("--json", "print each project as JSON")
    .action(list);
  drift
    .command("show <slug>")
    .description("show what differs in a project, since when, and who changed it")
    .option("--json", "print it as JSON")
    .action(show);
  drift
    .command("check [slug]")
    .description("look at a project now; without one, begin to look at all")
    .option("--json", "print events and outcome as lines of JSON")
    .action(check);
  drift
    .command("fix <slug>")
    .description("take back what others changed in a project")
    .option("--json", "print events and outcome as lines of JSON")
    .action(fix);
}

async function list({ state, json }: { state?: string; json?: true }): Promise<void> {
  const { api, driftSchema, driftRuns } = await open();
  let found = 0;
  for await (const one of api.items("/v1/drift", driftSchema, { state })) {
    console.log(json ? JSON.stringify(one) : lineOf(one));
    found += 1;
  }
  if (json) return;
  if (found === 0)
    console.error(state === undefined ? "No drift is known." : "No project matches.");
  const runs = await api.call("GET", "/v1/drift/runs", driftRuns).catch(unlessBound);
  if (!runs) return;
  const [last] = runs.items;
  console.error(last ? runText(last) : "Nobody has looked at all projects yet.");
}

/** A caller who is bound to some projects may list their drift, but not the looks at all projects. */
function unlessBound(error: unknown): undefined {
  if (error instanceof InfraError && error.code === "RDEV_ROLE") return;
  throw error;
}

async function show(slug: string, { json }: { json?: true }): Promise<void> {
  const { api, driftSchema } = await open();
  const drift = await api.call("GET", `${pathOf(slug)}/drift`, driftSchema);
  if (json) return console.log(JSON.stringify(drift));
  console.log(lineOf(drift));
  for (const { op, type, name, properties, moreProperties, by, since } of drift.changes) {
    const who = by.map(({ manager, at }) => {
      return `${printable(manager)}${at === undefined ? "" : ` at ${at}`}`;
    });
    const authors = who.length > 0 ? `, by ${who.join(", ")}` : "";
    const what = op === "delete" ? "is gone" : "differs";
    console.log(`  ${printable(`${typeText(type)} ${name}`)} ${what} since ${since}${authors}`);
    for (const { path, old = "", new: now = "" } of properties) {
      const [from, to] = [old, now].map((value) => printable(value) || "(none)");
      console.log(`    ${printable(path)}: ${from} → ${to}`);
    }
    if (moreProperties > 0)
      console.log(`    and ${count(moreProperties, "more property", "more properties")}`);
  }
}

async function check(
  slug: string | undefined,
  { json = false }: { json?: boolean },
): Promise<void> {
  const { api, follow, driftRunSchema, operationSchema } = await open();
  if (slug === undefined) {
    const run = await api.call("POST", "/v1/drift/runs", driftRunSchema);
    return console.log(json ? JSON.stringify(run) : runText(run));
  }
  const call = { idempotencyKey: randomUUID() };
  const look = await api.call("POST", `${pathOf(slug)}/drift/check`, operationSchema, call);
  process.exitCode = exitCode(await follow(api, look, { json }));
  if (process.exitCode === EXIT.done && !json) await show(slug, {});
}

async function fix(slug: string, { json = false }: { json?: boolean }): Promise<void> {
  const { api, follow, operationSchema } = await open();
  const call = { idempotencyKey: randomUUID() };
  const operation = await api.call("POST", `${pathOf(slug)}/drift/fix`, operationSchema, call);
  process.exitCode = exitCode(await follow(api, operation, { json }));
}

/** `my-app: drifted since 2026-…, 2 objects, fixable by updates`. */
function lineOf({ slug, state, since, changes, fixableBy, error }: Drift): string {
  const differs =
    changes.length > 0 && since !== undefined
      ? `: ${count(changes.length, "object differs", "objects differ")} since ${since}` +
        (fixableBy === "nothing" ? "" : ` (fixable by ${fixableBy})`)
      : "";
  const failed = error ? `: not looked at since ${error.since}: ${printable(error.message)}` : "";
  return `${slug}  ${state}${differs}${failed}`;
}

function runText({ startedAt, endedAt, total, done, drifted, failed }: DriftRun): string {
  const when = endedAt === undefined ? `began ${startedAt}` : `ended ${endedAt}`;
  return `The last look at all projects ${when}: ${done} of ${total}, ${drifted} drifted, ${failed} failed.`;
}

function pathOf(slug: string): string {
  return `/v1/projects/${encodeURIComponent(slug)}`;
}

/** Loads the modules that only these commands need. */
async function open() {
  const [{ ApiClient }, { follow }, { operationSchema }, { drift, driftRun }, { z }] =
    await Promise.all([
      import("../api/client.ts"),
      import("../api/follow.ts"),
      import("../../automation/service/schemas/operation.ts"),
      import("../../core/drift.ts"),
      import("zod"),
    ]);
  return {
    api: new ApiClient(),
    follow,
    operationSchema,
    driftSchema: drift,
    driftRunSchema: driftRun,
    driftRuns: z.object({ items: z.array(driftRun) }),
  };
}
