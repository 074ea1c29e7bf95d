import type { Command } from "commander";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import { exitCode } from "../exit-codes.ts";
import { wholeNumber } from "../options.ts";
import { changesText, errorText, leftoverText } from "../text.ts";
import { timingLines, TIMINGS } from "../views/timings.ts";

export function addOperations(program: Command): void {
  const operations = program
    .command("operations")
    .description("the API's operations and their results");
  operations
    .command("list")
    .description("list the newest operations, newest first")
    .option("--project <slug>", "only this project")
    .option("--state <state>", "only this state, such as running or failed")
    .option("--limit <operations>", "1 to 200", wholeNumber(1, 200), 20)
    .option("--json", "print each operation as JSON")
    .action(list);
  operations
    .command("show <id>")
    .description("show one operation, with its errors and leftovers")
    .option(...TIMINGS)
    .option("--json", "print it as JSON")
    .action(show);
  operations
    .command("follow <id>")
    .description("show an operation from its beginning to its end")
    .option("--diff", "name the properties that differ")
    .option("--json", "print events and outcome as lines of JSON")
    .action(followed);
  operations
    .command("cancel <id>")
    .description("ask an operation to stop after the resources in progress")
    .action(cancel);
}

interface ListOptions {
  readonly project?: string;
  readonly state?: string;
  readonly limit: number;
  readonly json?: true;
}

async function list({ project: slug, state, limit, json }: ListOptions): Promise<void> {
  const { api, operationPage } = await open();
  const query = { slug, state, limit };
  const { items } = await api.call("GET", "/v1/operations", operationPage, { query });
  for (const operation of items) {
    console.log(json ? JSON.stringify(operation) : operationLine(operation));
  }
  if (items.length === 0) {
    const of = slug === undefined ? "" : ` of ${slug}`;
    const inState = state === undefined ? "" : ` in the state ${state}`;
    console.error(`No operations${of}${inState}.`);
  }
}

async function show(id: string, { json, timings }: { json?: true; timings?: true }): Promise<void> {
  const { api, operationSchema } = await open();
  const operation = await api.call("GET", pathOf(id), operationSchema);
  if (json) return console.log(JSON.stringify(operation));
  console.log(operationLine(operation));
  const { outcome, remaining } = operation;
  if (outcome) {
    console.log(`  ${changesText(outcome.changes, "past") || "no resource was changed"}`);
  }
  for (const leftover of remaining) console.log(`  ${leftoverText(leftover)}`);
  for (const error of outcome?.errors ?? []) console.log(`  ${errorText(error)}`);
  if (timings) console.log(timingLines(outcome?.timings ?? []).join("\n"));
}

async function followed(id: string, options: { json?: true; diff?: true }): Promise<void> {
  const { api, operationSchema } = await open();
  const { follow } = await import("../api/follow.ts");
  const operation = await api.call("GET", pathOf(id), operationSchema);
  process.exitCode = exitCode(await follow(api, operation, options));
}

async function cancel(id: string): Promise<void> {
  const { api, operationSchema } = await open();
  const operation = await api.call("POST", `${pathOf(id)}/cancel`, operationSchema);
  console.log(operationLine(operation));
}

function operationLine({ id, createdAt, slug, request, state, actor }: OperationView): string {
  return `${id}  ${createdAt}  ${request.kind} ${slug}: ${state}, by ${actor}`;
}

function pathOf(id: string): string {
  return `/v1/operations/${encodeURIComponent(id)}`;
}

async function open() {
  const [{ ApiClient }, { operationSchema }, { pageOf }] = await Promise.all([
    import("../api/client.ts"),
    import("../../automation/service/schemas/operation.ts"),
    import("../../automation/service/schemas/page.ts"),
  ]);
  return { api: new ApiClient(), operationSchema, operationPage: pageOf(operationSchema) };
}
