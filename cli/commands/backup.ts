import { resolve } from "node:path";
import type { Command } from "commander";
import type { Identities, Recipients } from "../../automation/backup/encryption.ts";
import type { CheckedBackup } from "../../automation/backup/restore.ts";
import { PACKAGE } from "../../automation/engine/folders.ts";
import { InfraError } from "../../core/errors.ts";
import { type Database, openDatabase, whoRuns } from "../database.ts";
import { EXIT } from "../exit-codes.ts";
import { workFolder } from "../operation.ts";
import { wholeNumber } from "../options.ts";

const KEYS = `
Make a key once, and keep the file apart from the backups: age-keygen -o backup-key.txt
It prints the public key for --recipient; the file is for restore --identity.`;

export function addBackup(program: Command): void {
  program
    .command("backup")
    .description("write the database, the stacks' states and their settings to one encrypted file")
    .requiredOption("--to <folder>", "the folder for the file, which gets a name with the time")
    .option("--recipient <age1…>", "the public key to encrypt for; repeatable", collect)
    .option("--unencrypted", "do not encrypt, so that whoever has the file can read it")
    .option("--keep <n>", "delete all but the newest n backups there", wholeNumber(1, 100_000))
    .option("--work-dir <folder>", "the folder of Pulumi.yaml and the stacks' files")
    .option("--json", "print the result as JSON")
    .addHelpText("after", KEYS)
    .action(backup);
}

export function addRestore(program: Command): void {
  program
    .command("restore <file>")
    .description("restore a backup into an empty platform; run it again if it was interrupted")
    .option("--identity <file>", "the file of age-keygen with the secret key")
    .option("--unencrypted", "read a file that was made with backup --unencrypted")
    .option("--check", "only check the file, without a platform")
    .option("--work-dir <folder>", "the folder of Pulumi.yaml and the stacks' files")
    .action(restore);
}

interface BackupOptions {
  readonly to: string;
  readonly recipient?: readonly string[];
  readonly unencrypted?: true;
  readonly keep?: number;
  readonly workDir?: string;
  readonly json?: true;
}

async function backup({ to, keep, workDir, json, ...options }: BackupOptions): Promise<void> {
  const recipients = recipientsOf(options);
  const { backUp, deleteOldBackups } = await import("../../automation/backup/backup.ts");
  const { Store } = await import("../../automation/store/store.ts");
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
  const folder = resolve(to);
  const made = await withDatabase(async ({ url }) => {
    const store = new Store({ url, connections: 1 });
    try {
      const place = { folder, workDir: workFolder(workDir) ?? PACKAGE };
      return await backUp({ ...place, recipients, store, signal: stop.signal });
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      console.error("Stopped: no backup was written.");
      process.exitCode = EXIT.interrupted;
      return undefined;
    } finally {
      await store.close();
    }
  });
  if (!made) return;
  const deleted = keep === undefined ? [] : await deleteOldBackups(folder, keep);
  if (json) console.log(JSON.stringify({ ...made, deleted }));
  else {
    const megabytes = (made.bytes / 1e6).toFixed(1);
    console.log(`${made.file}: ${contents(made.stacks.length, made.rows)}, ${megabytes} MB`);
    for (const name of deleted) console.log(`deleted: ${name}`);
  }
}

interface RestoreOptions {
  readonly identity?: string;
  readonly unencrypted?: true;
  readonly check?: true;
  readonly workDir?: string;
}

async function restore(file: string, options: RestoreOptions): Promise<void> {
  const identities = await identitiesOf(options);
  const module = await import("../../automation/backup/restore.ts");
  if (options.check) {
    console.log(`The backup is complete: ${summary(await module.checkBackup(file, identities))}.`);
    return;
  }
  const { verifyChain } = await import("../../automation/audit/verify.ts");
  const { Store } = await import("../../automation/store/store.ts");
  await withDatabase(async ({ url, ownerUrl }) => {
    const restored = await module.restore({
      file,
      identities,
      workDir: workFolder(options.workDir) ?? PACKAGE,
      database: { ownerUrl, serviceRole: decodeURIComponent(new URL(url).username) },
      actor: whoRuns(),
      onProgress: console.error,
    });
    const store = new Store({ url, connections: 1 });
    const { rows, broken } = await verifyChain(store).finally(() => store.close());
    console.log(`Restored: ${summary(restored)}.`);
    for (const { id, kind, slug } of restored.operations) {
      console.log(`  ${kind} of ${slug} runs when the service starts (operation ${id})`);
    }
    for (const { stack, isInterrupted } of restored.stacks.values()) {
      if (isInterrupted) {
        console.log(`  ${stack} was being changed during the backup: its next up completes it`);
      }
    }
    if (!broken) console.log(`The audit trail is intact: ${rows} events.`);
    else {
      console.error(`RDEV_AUDIT: event ${broken.id} is broken: ${broken.reason}.`);
      process.exitCode = EXIT.failed;
    }
    console.log("Next: rdev-infra preview --all --expect-no-changes");
  });
}

function recipientsOf({
  recipient,
  unencrypted,
}: Pick<BackupOptions, "recipient" | "unencrypted">): Recipients {
  if (unencrypted && recipient) throw both("--recipient");
  if (unencrypted) return "unencrypted";
  if (recipient) return recipient;
  throw new InfraError(
    "RDEV_BACKUP_KEY",
    "A backup holds the whole platform, so it is encrypted: name a public key with --recipient " +
      "(age-keygen makes one), or say --unencrypted.",
  );
}

async function identitiesOf({ identity, unencrypted }: RestoreOptions): Promise<Identities> {
  if (unencrypted && identity !== undefined) throw both("--identity");
  if (unencrypted) return "unencrypted";
  if (identity === undefined) {
    throw new InfraError("RDEV_BACKUP_KEY", "Name the file with the secret key with --identity.");
  }
  const { readIdentities } = await import("../../automation/backup/encryption.ts");
  return readIdentities(identity);
}

function both(option: string): InfraError {
  return new InfraError("RDEV_BACKUP_KEY", `Say either ${option} or --unencrypted.`);
}

async function withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T> {
  const database = await openDatabase("join");
  try {
    return await work(database);
  } finally {
    await database.stop();
  }
}

function summary({ header, stacks, rows }: Pick<CheckedBackup, "header" | "stacks" | "rows">) {
  return `${contents(stacks.size, rows)}, of ${header.createdAt}, made by ${header.version}`;
}

function contents(stacks: number, rows: Readonly<Record<string, number>>): string {
  const counted = (count = 0, what: string) => `${count} ${count === 1 ? what : `${what}s`}`;
  return [
    counted(stacks, "stack"),
    counted(rows["projects"], "project"),
    counted(rows["operations"], "operation"),
    counted(rows["audit_log"], "audit event"),
  ].join(", ");
}

function collect(text: string, collected: readonly string[] = []): readonly string[] {
  return [...collected, text];
}
