import { type Command, InvalidArgumentError } from "commander";
import type { OperationError } from "../../automation/engine/messages.ts";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import { exitCode } from "../exit-codes.ts";
import { changesText, errorText } from "../text.ts";

export function addOperations(program: Command): void {
  const operations = program
    .command("operations")
    .description("what was asked of the API, and what has become of it");
  operations
    .command("list")
    .description("the newest operations, newest first")
    .option("--project <slug>", "of one project")
    .option("--state <state>", "only in this one, as running or failed")
    .option("--limit <operations>", "1 to 200", limitOf, 20)
    .option("--json", "each operation as JSON")
    .action(list);
  operations
    .command("show <id>")
    .description("one operation, with its errors and what it left")
    .option("--json", "as JSON")
    .action(show);
  operations
    .command("follow <id>")
    .description("show what happens, from the beginning to the end")
    .option("--diff", "name the properties that differ")
    .option("--json", "events and outcome as lines of JSON")
    .action(followed);
  operations
    .command("cancel <id>")
    .description("ask an operation to stop when what is under way is done")
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
}

async function show(id: string, { json }: { json?: true }): Promise<void> {
  const { api, operationSchema } = await open();
  const operation = await api.call("GET", pathOf(id), operationSchema);
  if (json) return console.log(JSON.stringify(operation));
  console.log(operationLine(operation));
  const { outcome, remaining } = operation;
  if (outcome) console.log(`  ${changesText(outcome.changes, "past") || "nothing changed"}`);
  for (const { system, what, why } of remaining) console.log(`  ${why}: ${system} ${what}`);
  for (const error of outcome?.errors ?? []) console.log(`  ${errorText(error as OperationError)}`);
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

function limitOf(text: string): number {
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= 200) return limit;
  throw new InvalidArgumentError("It is no number from 1 to 200.");
}

async function open() {
  const [{ ApiClient }, { operationSchema }, { pageOf }] = await Promise.all([
    import("../api/client.ts"),
    import("../../automation/service/schemas/operation.ts"),
    import("../../automation/service/schemas/page.ts"),
  ]);
  return { api: new ApiClient(), operationSchema, operationPage: pageOf(operationSchema) };
}
