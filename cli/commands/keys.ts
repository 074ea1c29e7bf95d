import { type Command, Option } from "commander";
import type { Keys } from "../../automation/keys/keys.ts";
import type { Key } from "../../automation/keys/key.ts";
import { type Role, ROLES } from "../../core/identity.ts";
import { openDatabase, whoRuns } from "../database.ts";
import { timeSpan } from "../options.ts";

export function addKeys(program: Command): void {
  const keys = program.command("keys").description("the API's keys, stored in the database");
  keys
    .command("create")
    .description("create a key and print it; it is shown only once")
    .requiredOption("--name <name>", "the name in the audit log, such as rdev")
    .addOption(
      new Option(
        "--role <role>",
        "viewers read, operators also change, approvers also approve rollouts, admins also delete",
      )
        .choices(ROLES)
        .makeOptionMandatory(),
    )
    .option("--project <slug>", "valid for this project only")
    .option("--expires <time>", "such as 30m, 1h or 90d; by default valid until revoked", timeSpan)
    .action(create);
  keys
    .command("list")
    .description("list all keys, newest first")
    .option("--json", "print each key as JSON")
    .action(list);
  keys
    .command("revoke <key>")
    .description("revoke a key by its id or name; it is refused within a second")
    .action(revoke);
}

interface CreateOptions {
  readonly name: string;
  readonly role: Role;
  readonly project?: string;
  readonly expires?: number;
}

async function create({ name, role, project, expires: lifetime }: CreateOptions): Promise<void> {
  const { text } = await withKeys((keys) =>
    keys.create(
      {
        name,
        role,
        ...(project !== undefined && { project }),
        ...(lifetime !== undefined && { lifetime }),
      },
      whoRuns(),
    ),
  );
  console.error("This key is shown only once. Store it with your other secrets:");
  console.log(text);
}

async function list({ json }: { json?: true }): Promise<void> {
  const all = await withKeys((keys) => keys.list());
  for (const key of all) console.log(json ? JSON.stringify(key) : keyLine(key));
  if (all.length === 0) console.error("No keys.");
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
        ? `valid until ${day(expiresAt)}`
        : "valid";
  const used = lastUsedAt ? `last used ${day(lastUsedAt)}` : "never used";
  const scope = project === null ? role : `${role} of ${project}`;
  return `${id}  ${name}  ${scope}  ${state}, ${used}`;
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
