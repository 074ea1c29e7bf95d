import { type Command, Option } from "commander";
import type { Keys } from "../../automation/keys/keys.ts";
import { type Key, type Role, ROLES } from "../../automation/keys/key.ts";
import { openDatabase } from "../database.ts";
import { span } from "../span.ts";
import { whoRuns } from "../who-runs.ts";

export function addKeys(program: Command): void {
  const keys = program.command("keys").description("who may use the API, kept in the database");
  keys
    .command("create")
    .description("make a key, and print it: it is shown this once")
    .requiredOption("--name <name>", "the actor in the audit trail, as rdev")
    .addOption(
      new Option("--role <role>", "viewers read, operators change, admins delete as well")
        .choices(ROLES)
        .makeOptionMandatory(),
    )
    .option("--project <slug>", "good for one project only")
    .option("--expires <time>", "as 30m, 1h or 90d; else it is good until it is revoked", span)
    .action(create);
  keys
    .command("list")
    .description("all keys, newest first")
    .option("--json", "each key as JSON")
    .action(list);
  keys
    .command("revoke <key>")
    .description("end a key, by its id or its name; within a second it is refused")
    .action(revoke);
}

interface CreateOptions {
  readonly name: string;
  readonly role: Role;
  readonly project?: string;
  readonly expires?: number;
}

async function create({ name, role, project, expires: lifetime }: CreateOptions): Promise<void> {
  const given = { name, role, ...(project !== undefined && { project }) };
  const key = { ...given, ...(lifetime !== undefined && { lifetime }) };
  const { text } = await withKeys((keys) => keys.create(key, whoRuns()));
  console.error("It is shown this once. Keep it where other secrets are kept:");
  console.log(text);
}

async function list({ json }: { json?: true }): Promise<void> {
  for (const key of await withKeys((keys) => keys.list())) {
    console.log(json ? JSON.stringify(key) : keyLine(key));
  }
}

async function revoke(idOrName: string): Promise<void> {
  const { id, name } = await withKeys((keys) => keys.revoke(idOrName, whoRuns()));
  console.log(`revoked: ${name} (${id})`);
}

function keyLine({ id, name, role, project, ...dates }: Key): string {
  const { expiresAt, lastUsedAt, revokedAt } = dates;
  const day = (date: Date) => date.toISOString().slice(0, 16).replace("T", " ");
  const state = revokedAt
    ? `revoked ${day(revokedAt)}`
    : expiresAt && expiresAt.getTime() <= Date.now()
      ? `expired ${day(expiresAt)}`
      : expiresAt
        ? `good until ${day(expiresAt)}`
        : "good";
  const used = lastUsedAt ? `last used ${day(lastUsedAt)}` : "never used";
  const of = project === null ? role : `${role} of ${project}`;
  return `${id}  ${name}  ${of}  ${state}, ${used}`;
}

async function withKeys<T>(work: (keys: Keys) => Promise<T>): Promise<T> {
  const { Store } = await import("../../automation/store/store.ts");
  const { Keys } = await import("../../automation/keys/keys.ts");
  const database = await openDatabase("join");
  const store = new Store({ url: database.url, connections: 1 });
  try {
    return await work(new Keys(store));
  } finally {
    await store.close();
    await database.stop();
  }
}
