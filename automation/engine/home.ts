import { randomUUID } from "node:crypto";
import {
  access,
  constants,
  mkdir,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { pulumiVariables } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";

/** The folder of the quiet home, inside the user's. */
const FOLDER = "rdev-infra";
const LOGS = "logs";

/** Folders that Pulumi makes in its home. They must be the user's own, so they exist first. */
const SHARED = ["plugins", "policies", "templates", "workspaces"] as const;

const NOTE =
  "A file in the place of a folder: Pulumi's CLI cannot write its debug logs here, which hold secrets.\n";

const prepared = new Map<string, Promise<Record<string, string>>>();

/** Where Pulumi keeps plugins and logins, by its own rules. */
export function pulumiHome(): string {
  return pulumiVariables().home ?? join(homedir(), ".pulumi");
}

/**
 * The variables under which Pulumi's CLI writes no debug logs. Since 3.249 every command logs into
 * `$PULUMI_HOME/logs`, before the secrets are known and so without redaction, and no option stops it
 * (https://github.com/pulumi/pulumi/issues/22416). It goes on without a log where that path is a file.
 * The user's home keeps its logs: commands of ours get a home inside it, whose other entries are
 * links to the user's own. Throws RDEV_PREREQUISITE where no such home can be made.
 */
export function homeWithoutLogs(): Promise<Record<string, string>> {
  const home = pulumiHome();
  const known = prepared.get(home);
  if (known) return known;
  const preparing = prepare(home).catch(async (error: unknown) => {
    prepared.delete(home);
    if (await isReadOnly(home)) return {}; // to Pulumi as well: it goes on without a log
    throw impossible(home, error);
  });
  prepared.set(home, preparing);
  return preparing;
}

async function prepare(home: string): Promise<Record<string, string>> {
  if (await isFile(join(home, LOGS))) return {};
  const folder = join(home, FOLDER);
  for (const name of [...SHARED, FOLDER]) await mkdir(join(home, name), OWN);
  await blockLogs(join(folder, LOGS));
  const names = (await readdir(home)).filter((name) => name !== FOLDER && name !== LOGS);
  await Promise.all(names.map((name) => link(join(home, name), join(folder, name))));
  return {
    PULUMI_HOME: folder,
    // Pulumi replaces the files of a login, which would put them in the place of a link.
    PULUMI_CREDENTIALS_PATH: pulumiVariables().credentialsPath ?? home,
  };
}

const OWN = { recursive: true, mode: 0o700 } as const;

/** Other processes may do the same at this moment: the file is put there in one step. */
async function blockLogs(path: string): Promise<void> {
  if (await isFile(path)) return;
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, NOTE, { mode: 0o600 });
  await rename(draft, path).catch(async (error: unknown) => {
    await rm(draft, { force: true });
    throw error;
  });
}

async function link(target: string, path: string): Promise<void> {
  try {
    await symlink(target, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** Nobody like us can write logs there: neither into their folder, nor make that folder. */
async function isReadOnly(home: string): Promise<boolean> {
  const writable = await Promise.all(
    [join(home, LOGS), home].map((path) =>
      access(path, constants.W_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return !writable.includes(true) && (await stat(home).then(Boolean, () => false));
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

function impossible(home: string, error: unknown): InfraError {
  const why = (error as NodeJS.ErrnoException).code ?? "unknown";
  return new InfraError(
    "RDEV_PREREQUISITE",
    `Pulumi's home ${home} cannot be prepared (${why}). Pulumi's CLI writes debug logs that hold ` +
      `secrets, and ${join(home, FOLDER)} keeps it from that: make ${home} writable, set PULUMI_HOME ` +
      `to a folder that is, or put a file named "${LOGS}" into it.`,
  );
}
