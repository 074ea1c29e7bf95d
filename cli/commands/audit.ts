import type { Command } from "commander";
import type { Comparison, Missing } from "../../automation/audit/verify.ts";
import type { Store } from "../../automation/store/store.ts";
import { withStore } from "../database.ts";
import { EXIT } from "../exit-codes.ts";
import { timeRange, timeSpan, wholeNumber } from "../options.ts";
import { durationText } from "../text.ts";

export function addAudit(program: Command): void {
  const audit = program.command("audit").description("the audit log: everything that was done");
  audit
    .command("list")
    .description("list what was done, oldest first")
    .option("--project <slug>", "only this project")
    .option("--last <time>", "only this recent, such as 30m, 1h or 7d", timeSpan)
    .option(
      "--unfinished",
      "only events whose operation has not ended: it still runs, or was killed",
    )
    .option("--limit <events>", "only the newest ones, 1 to 10000", wholeNumber(1, 10_000), 100)
    .option("--json", "print each event as JSON")
    .action(list);
  audit
    .command("verify")
    .description("check that no event was changed or removed; exits with 1 if one was")
    .option(
      "--citadel <platform>",
      "compare with the copy in Citadel; this also finds lost newest events",
    )
    .option("--last <time>", "how far back to ask Citadel", timeRange, "7d")
    .option("--json", "print the result as JSON")
    .action(verify);
  audit
    .command("outbox")
    .description("count the events not yet shipped to Citadel, and list those it refused")
    .option("--retry-refused", "ship refused events again")
    .option("--json", "print it as JSON")
    .action(outbox);
  audit
    .command("ship <platform>")
    .description("ship the events of a platform to Citadel until Ctrl-C")
    .option("--once", "ship only what is due; exits with 1 if some could not be shipped")
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
  const rows = await withStore((store) => listAudit(store, options));
  for (const row of rows) {
    if (json) {
      console.log(JSON.stringify(row));
      continue;
    }
    const { id, at, action, project_id, actor, result, duration_ms } = row;
    const took = duration_ms === null ? "" : ` in ${durationText(duration_ms)}`;
    const what = [action, project_id].filter(Boolean).join(" ");
    console.log(`${at.toISOString()}  ${id}  ${what}: ${result}${took}, by ${actor}`);
  }
  if (rows.length === 0) console.error("No events.");
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
      console.log(`${rows} events, and the chain is intact. Its last hash: ${hash}`);
      if (copy) for (const line of comparisonLines(copy, last)) console.log(line);
    }
    if (wrong) {
      const intact = rows === 1 ? "The event before it is" : `The ${rows} events before it are`;
      const rest = broken ? `${intact} intact.` : "The chain is intact without it.";
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

function comparisonLines(comparison: Comparison, last: string): string[] {
  const { compared: count, missing, recent, unknown } = comparison;
  const same = missing ? "." : ", and they are the same.";
  return [
    `Citadel has ${count} of the last ${last}${same}`,
    ...(recent ? [`${recent} were shipped less than a minute ago and are not there yet.`] : []),
    ...(unknown
      ? [
          `${unknown} are not there, and it is unknown whether they were shipped: they were recorded ` +
            "while Citadel was switched off, or shipped by a version that did not record it.",
        ]
      : []),
  ];
}

function missingText({ count, first, tenant, shippedAt }: Missing): string {
  const what = count === 1 ? "an event that was" : `${count} events that were`;
  return (
    `RDEV_AUDIT: Citadel lacks ${what} shipped to it. The first is event ${first}, shipped to the ` +
    `environment ${tenant} at ${shippedAt.toISOString()}. Keep a copy of the database, and find out ` +
    "who deleted from that environment or recreated it."
  );
}

async function outbox(options: { json?: true; retryRefused?: true }): Promise<void> {
  const { backlog, refusedRows, requeueRefused } = await import("../../automation/audit/outbox.ts");
  await withStore(async (store) => {
    if (options.retryRefused) await requeueRefused(store);
    const counted = await backlog(store);
    const refused = await refusedRows(store);
    if (options.json) return console.log(JSON.stringify({ ...counted, refused }));
    const { waiting, oldestSeconds } = counted;
    const age = waiting > 0 ? `, the oldest for ${durationText(oldestSeconds * 1000)}` : "";
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
    // Without the tables, shipped events could not be marked and would be sent again and again.
    await requireSchema(store);
    const shipper = new CitadelShipper({
      store,
      citadel,
      platform,
      tenant: () => platformTenant(citadel),
      onFailure: ({ code, message }, wait) =>
        console.error(
          `${code}: ${message}${once ? "" : ` The next attempt is in ${durationText(wait)}.`}`,
        ),
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
