import { type Command, InvalidArgumentError } from "commander";
import type { Comparison } from "../../automation/audit/verify.ts";
import type { Store } from "../../automation/store/store.ts";
import { EXIT } from "../exit-codes.ts";
import { range, span } from "../span.ts";
import { durationText } from "../text.ts";
import { comparisonLines, missingText } from "../views/comparison.ts";
import { withStore } from "../with-store.ts";

export function addAudit(program: Command): void {
  const audit = program.command("audit").description("the record of all that was done");
  audit
    .command("list")
    .description("what was done, oldest first")
    .option("--project <slug>", "to one project")
    .option("--last <time>", "as 30m, 1h or 7d", span)
    .option("--unfinished", "only what began and has not ended: it still runs, or was killed")
    .option("--limit <events>", "the newest so many, 1 to 10000", limitOf, 100)
    .option("--json", "each event as JSON")
    .action(list);
  audit
    .command("verify")
    .description("check that no event was changed or removed; exits with 1 when one was")
    .option("--citadel <platform>", "compare with what was shipped, which also shows a cut-off end")
    .option("--last <time>", "how far back Citadel is asked", range, "7d")
    .option("--json", "the result as JSON")
    .action(verify);
  audit
    .command("outbox")
    .description("what still waits to be shipped to Citadel, and what Citadel refused")
    .option("--retry-refused", "let what was refused be shipped again")
    .option("--json", "as JSON")
    .action(outbox);
  audit
    .command("ship <platform>")
    .description("ship the events of a platform, as staging, to Citadel, until Ctrl-C")
    .option("--once", "only what is due; exits with 1 when some could not be shipped")
    .action(ship);
}

interface ListOptions {
  readonly project?: string;
  readonly last?: number;
  readonly unfinished?: true;
  readonly limit: number;
  readonly json?: true;
}

async function list({ json, ...options }: ListOptions): Promise<void> {
  const { listAudit } = await import("../../automation/audit/queries.ts");
  for (const row of await withStore((store) => listAudit(store, options))) {
    if (json) {
      console.log(JSON.stringify(row));
      continue;
    }
    const { id, at, action, project_id, actor, result, duration_ms } = row;
    const took = duration_ms === null ? "" : ` in ${durationText(duration_ms)}`;
    const what = [action, project_id].filter(Boolean).join(" ");
    console.log(`${at.toISOString()}  ${id}  ${what}: ${result}${took}, by ${actor}`);
  }
}

interface VerifyOptions {
  readonly citadel?: string;
  readonly last: string;
  readonly json?: true;
}

async function verify({ citadel: platform, last, json }: VerifyOptions): Promise<void> {
  const { verifyChain } = await import("../../automation/audit/verify.ts");
  await withStore(async (store) => {
    const { rows, hash, broken } = await verifyChain(store);
    const copy = broken || !platform ? undefined : await compared(store, platform, last);
    const wrong = broken ?? copy?.broken;
    if (json) {
      const { broken: _, ...counts } = copy ?? {};
      console.log(JSON.stringify({ rows, hash, ...counts, broken: wrong ?? null }));
    } else if (!wrong) {
      console.log(`${rows} events, the chain is whole. Its end: ${hash}`);
      if (copy) for (const line of comparisonLines(copy, last)) console.log(line);
    }
    if (wrong) {
      const right = rows === 1 ? "The event before it is" : `The ${rows} events before it are`;
      const rest = broken ? `${right} right.` : "The chain is whole without it.";
      console.error(`RDEV_AUDIT: event ${wrong.id} is broken: ${wrong.reason}. ${rest}`);
    }
    if (copy?.missing) console.error(missingText(copy.missing));
    if (wrong || copy?.missing) process.exitCode = EXIT.failed;
  });
}

async function compared(store: Store, platform: string, last: string): Promise<Comparison> {
  const { compareWithCitadel } = await import("../../automation/audit/verify.ts");
  const { platformTenant } = await import("../../automation/citadel/tenants.ts");
  const { Citadel } = await import("../../providers/citadel/client.ts");
  const citadel = new Citadel();
  const tenant = await platformTenant(citadel);
  return compareWithCitadel({ store, citadel, tenant, platform, last });
}

async function outbox(options: { json?: true; retryRefused?: true }): Promise<void> {
  const { backlog, refusedRows, requeueRefused } = await import("../../automation/audit/outbox.ts");
  await withStore(async (store) => {
    if (options.retryRefused) await requeueRefused(store);
    const counted = await backlog(store);
    const refused = await refusedRows(store);
    if (options.json) return console.log(JSON.stringify({ ...counted, refused }));
    const { waiting, oldestSeconds } = counted;
    const age = waiting > 0 ? `, the oldest since ${durationText(oldestSeconds * 1000)}` : "";
    console.log(`${waiting} waiting${age}; ${counted.refused} refused`);
    for (const { id, action, reason } of refused) console.log(`  ${id}  ${action}: ${reason}`);
  });
}

async function ship(platform: string, { once }: { once?: true }): Promise<void> {
  const { CitadelShipper } = await import("../../automation/audit/shipper.ts");
  const { platformTenant } = await import("../../automation/citadel/tenants.ts");
  const { Citadel } = await import("../../providers/citadel/client.ts");
  const { requireSchema } = await import("../../automation/store/require-schema.ts");
  const citadel = new Citadel();
  await withStore(async (store) => {
    // Else what Citadel took could not be noted, and would be sent again and again.
    await requireSchema(store);
    const shipper = new CitadelShipper({
      ...{ store, citadel, platform },
      tenant: () => platformTenant(citadel),
      onFailure: ({ code, message }, wait) =>
        console.error(`${code}: ${message}${once ? "" : ` Again in ${durationText(wait)}.`}`),
    });
    if (once) {
      const { state, shipped, refused } = await shipper.drain();
      console.log(`${shipped} shipped, ${refused} refused`);
      if (state === "failed") process.exitCode = EXIT.failed;
      return;
    }
    const stop = new AbortController();
    process.once("SIGINT", () => stop.abort()).once("SIGTERM", () => stop.abort());
    await shipper.run(stop.signal);
  });
}

function limitOf(text: string): number {
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= 10_000) return limit;
  throw new InvalidArgumentError("It is no number from 1 to 10000.");
}
