import { join } from "node:path";
import type { OperationKind } from "../../core/operation.ts";
import { auditLog } from "../audit/log.ts";
import { requeueOpen } from "../operations/requeue-open.ts";
import { migrate } from "../store/migrate.ts";
import { openQueue } from "../store/queue.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { isDatabaseEntry, loadDatabase, rowsPresent } from "./database.ts";
import type { Identities } from "./encryption.ts";
import { damaged, type Entry, notEmpty } from "./format.ts";
import { type Archive, readArchive } from "./read-archive.ts";
import { compareSettings, settingsFileOf, writeSettings } from "./settings-files.ts";
import {
  CONCURRENCY,
  importState,
  presentStacks,
  rehearseImport,
  stackOf,
  type StoredStack,
} from "./stacks.ts";

/** An archive that is complete and unchanged. */
export interface CheckedBackup extends Archive {
  readonly stacks: ReadonlyMap<string, StoredStack>;
  /** The stacks' files by name. */
  readonly settings: ReadonlyMap<string, Entry>;
  /** One stack's state, to try the passphrase with. */
  readonly sample: { readonly stack: string; readonly entry: Entry } | undefined;
}

/** Reads an archive to its end. Rejects with RDEV_BACKUP, RDEV_BACKUP_KEY or RDEV_BACKUP_VERSION. */
export async function checkBackup(file: string, identities: Identities): Promise<CheckedBackup> {
  const stacks = new Map<string, StoredStack>();
  const settings = new Map<string, Entry>();
  let sample: CheckedBackup["sample"];
  const archive = await readArchive(file, identities, async (entry) => {
    const state = stackOf(entry);
    const settingsFile = settingsFileOf(entry);
    if (state) {
      stacks.set(state.stack, state);
      sample ??= { stack: state.stack, entry };
    } else if (settingsFile !== undefined) settings.set(settingsFile, entry);
    else if (!isDatabaseEntry(entry)) throw damaged(`the part ${entry.name} is unknown`);
  });
  return { ...archive, stacks, settings, sample };
}

interface RestoreOptions {
  readonly file: string;
  readonly identities: Identities;
  /** Holds `Pulumi.yaml`; the stacks' files are restored to it. */
  readonly workDir: string;
  readonly database: { readonly ownerUrl: string; readonly serviceRole: string };
  /** The person who restores, for the audit log. */
  readonly actor: string;
  /** Called with what is going on, for a terminal. */
  readonly onProgress?: (text: string) => void;
}

interface Restored extends Pick<CheckedBackup, "header" | "rows" | "stacks"> {
  /** They run when the service starts. */
  readonly operations: readonly {
    readonly id: string;
    readonly kind: OperationKind;
    readonly slug: string;
  }[];
}

/**
 * Restores a backup into an empty platform. It first checks the whole archive, the platform and the
 * passphrase, without writing anything. Then it imports the stacks, writes their files, and fills the
 * database, in one transaction, last. So a restore that was interrupted can be run again: it leaves
 * stacks and files that are as in the archive.
 *
 * Rejects with RDEV_BACKUP, RDEV_BACKUP_KEY, RDEV_BACKUP_VERSION, with RDEV_NOT_EMPTY, which names all
 * that is there, with RDEV_STORE, and with what Pulumi's CLI reports.
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { file, identities, workDir, database, actor, onProgress = () => undefined } = options;
  onProgress("checking the archive");
  const backup = await checkBackup(file, identities);
  const { header, rows, stacks, sample } = backup;
  onProgress("checking that the platform is empty");
  const present = await requireEmpty(backup, options);
  if (sample) await rehearseImport(sample.stack, sample.entry, workDir);

  await migrate({ ...database, newer: 0 });
  onProgress(`restoring the stacks: ${stacks.size}`);
  await restoreFolder(options, present);
  onProgress("restoring the database");
  const operations = await loadDatabase(
    { ...database, migrations: header.migrations },
    async (insert) =>
      (
        await readArchive(file, identities, async (entry) => {
          if (isDatabaseEntry(entry)) await insert(entry);
        })
      ).rows,
    (transaction, store) => continueOperations(transaction, store, { actor, header }),
  );
  return { header, rows, stacks, operations };
}

/** Returns the stacks of the backend. Rejects with RDEV_NOT_EMPTY. */
async function requireEmpty(
  { stacks, settings }: CheckedBackup,
  { workDir, database }: RestoreOptions,
): Promise<ReadonlyMap<string, StoredStack>> {
  const found: string[] = [];
  const present = await presentStacks(workDir);
  for (const { stack, isEmpty, objects } of present.values()) {
    const archived = stacks.get(stack);
    if (isEmpty || archived?.objects === objects) continue;
    found.push(`the stack ${stack} ${archived ? "has other objects" : "is not in the backup"}`);
  }
  for (const [name, entry] of settings) {
    const same = await compareSettings(workDir, name, entry);
    if (same === "other") found.push(`the file ${join(workDir, name)} differs from the backup's`);
  }
  found.push(...(await rowsPresent(database.ownerUrl)));
  if (found.length > 0) throw notEmpty(found);
  return present;
}

/** Imports the stacks that are not there yet, several at once, and writes the stacks' files. */
async function restoreFolder(
  { file, identities, workDir, onProgress }: RestoreOptions,
  present: ReadonlyMap<string, StoredStack>,
): Promise<void> {
  let done = 0;
  let waiting: { stack: string; entry: Entry }[] = [];
  const importAll = async () => {
    await Promise.all(
      waiting.map(({ stack, entry }) =>
        importState(stack, entry, { workDir, exists: present.has(stack) }),
      ),
    );
    done += waiting.length;
    if (waiting.length > 0) onProgress?.(`stacks imported: ${done}`);
    waiting = [];
  };
  await readArchive(file, identities, async (entry) => {
    const settingsFile = settingsFileOf(entry);
    if (settingsFile !== undefined) await writeSettings(workDir, settingsFile, entry);
    const stack = stackOf(entry)?.stack;
    if (stack === undefined || present.get(stack)?.isEmpty === false) return;
    waiting.push({ stack, entry });
    if (waiting.length === CONCURRENCY) await importAll();
  });
  await importAll();
}

async function continueOperations(
  transaction: StoreTransaction,
  store: Store,
  { actor, header }: Pick<RestoreOptions, "actor"> & Pick<CheckedBackup, "header">,
): Promise<Restored["operations"]> {
  const boss = openQueue(store);
  await boss.start();
  try {
    const open = await requeueOpen(transaction, boss);
    // The transaction's last write, because it holds the audit log's lock until the end.
    await auditLog(store).recordIn(transaction, {
      action: "platform.restore",
      actor,
      component: "infra",
      result: "success",
      details: { createdAt: header.createdAt, version: header.version, requeued: open.length },
    });
    return open.map(({ id, kind, slug }) => ({ id, kind, slug }));
  } finally {
    await boss.stop({ graceful: false });
  }
}
