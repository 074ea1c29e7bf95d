import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { ownVersion } from "../engine/versions.ts";
import type { Store } from "../store/store.ts";
import { dumpDatabase } from "./database.ts";
import { checkRecipients, type Recipients } from "./encryption.ts";
import { HEADER, type Manifest, newHeader } from "./format.ts";
import { addSettingsFiles } from "./settings-files.ts";
import { exportStacks } from "./stacks.ts";
import { writeArchive } from "./write-archive.ts";

interface BackupOptions {
  /** An existing folder, in which the archive gets a name with the time. */
  readonly folder: string;
  readonly recipients: Recipients;
  /** Holds `Pulumi.yaml` and the stacks' files. */
  readonly workDir: string;
  readonly store: Store;
  readonly signal?: AbortSignal;
}

interface Backup {
  readonly file: string;
  readonly bytes: number;
  readonly stacks: readonly string[];
  /** How many rows each table has. */
  readonly rows: Manifest["rows"];
}

/**
 * Writes an archive of the service's database, all stacks' states and their settings files. The states
 * are read after the database, so they are never older: a restored operation that had ended meanwhile
 * runs again and finds nothing to do.
 *
 * Rejects with RDEV_BACKUP, RDEV_BACKUP_KEY and RDEV_STORE, and with what Pulumi's CLI reports.
 */
export async function backUp(options: BackupOptions): Promise<Backup> {
  const { folder, recipients, workDir, store, signal } = options;
  if (recipients !== "unencrypted") checkRecipients(recipients);
  const createdAt = new Date().toISOString();
  const name = `${PREFIX}${createdAt.replaceAll(/[:.]/g, "-")}.tar.gz`;
  const file = join(folder, recipients === "unencrypted" ? name : `${name}.age`);
  let stacks: readonly string[] = [];
  let rows: Manifest["rows"] = {};
  const bytes = await writeArchive(file, { recipients, signal }, async (add) => {
    rows = await dumpDatabase(store, add, (migrations) =>
      add(HEADER, JSON.stringify(newHeader({ version: ownVersion(), createdAt, migrations }))),
    );
    const exported = await exportStacks(workDir, add, signal);
    stacks = [...exported.keys()];
    await addSettingsFiles(workDir, add, exported);
    return rows;
  });
  return { file, bytes, stacks, rows };
}

const PREFIX = "rdev-infra-";
/** In ms. A file that a backup works on is younger. */
const ABANDONED = 24 * 3_600_000;

/** Deletes all archives in the folder but the newest ones, and what killed backups left. Returns their names. */
export async function deleteOldBackups(folder: string, keep: number): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(PREFIX)).toSorted();
  const archives = names.filter((name) => /\.tar\.gz(\.age)?$/.test(name));
  const old = archives.slice(0, Math.max(0, archives.length - keep));
  for (const name of names.filter((each) => each.endsWith(".part"))) {
    const { mtimeMs } = await stat(join(folder, name));
    if (Date.now() - mtimeMs > ABANDONED) old.push(name);
  }
  for (const name of old) await rm(join(folder, name), { force: true });
  return old;
}
