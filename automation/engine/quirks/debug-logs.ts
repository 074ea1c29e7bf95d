/**
 * Every command of the CLI writes a debug log into `$PULUMI_HOME/logs`, and the log holds secrets.
 *
 * Reason: the log starts before the stack's secrets are known, so that part is neither redacted nor
 * encrypted, and no option turns it off.
 * Workaround: the CLI goes on without a log if the path `logs` is a file. The user's home keeps its
 * logs, so the commands of rdev-infra get a home inside it, `rdev-infra`, in which `logs` is a file
 * and every other entry is a link to the user's own.
 * Upstream: https://github.com/pulumi/pulumi/issues/22416 asks for a way to opt out;
 * https://github.com/pulumi/pulumi/pull/23731 turned the logs on for everybody;
 * https://github.com/pulumi/pulumi/pull/23931 redacts secrets in the values of properties only.
 * Seen in: Pulumi 3.259.0; 3.249 was the first version to write such logs.
 * Remove it when: the contract test fails, because plain Pulumi writes no log with a secret. It is
 * "are written by plain Pulumi, …" in tests/e2e/secrets.sandbox.test.ts.
 */
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
import { join } from "node:path";
import { pulumiVariables } from "../../../core/connections.ts";
import { InfraError } from "../../../core/errors.ts";
import { pulumiHome } from "../folders.ts";

/** The folder inside the user's home. */
const FOLDER = "rdev-infra";
const LOGS = "logs";

/** Folders that Pulumi creates when needed. They are created first, in the user's home, to be linked. */
const SHARED = ["plugins", "policies", "templates", "workspaces"] as const;

const NOTE =
  "This file stands where Pulumi's CLI would create a folder for debug logs, which hold secrets.\n";

const prepared = new Map<string, Promise<Record<string, string>>>();

/**
 * The variables that make Pulumi's CLI write no debug logs. Throws RDEV_PREREQUISITE if the home
 * cannot be prepared.
 */
export function homeWithoutLogs(): Promise<Record<string, string>> {
  const home = pulumiHome();
  const known = prepared.get(home);
  if (known) return known;
  const preparing = prepare(home).catch(async (error: unknown) => {
    prepared.delete(home);
    if (await isReadOnly(home)) return {}; // Pulumi cannot write logs there either
    throw preparationError(home, error);
  });
  prepared.set(home, preparing);
  return preparing;
}

async function prepare(home: string): Promise<Record<string, string>> {
  if (await isFile(join(home, LOGS))) return {};
  const folder = join(home, FOLDER);
  for (const name of [...SHARED, FOLDER]) await mkdir(join(home, name), PRIVATE);
  await blockLogs(join(folder, LOGS));
  const names = (await readdir(home)).filter((name) => name !== FOLDER && name !== LOGS);
  await Promise.all(names.map((name) => link(join(home, name), join(folder, name))));
  return {
    PULUMI_HOME: folder,
    // Pulumi replaces its credentials file, which would replace the link and not the user's file.
    PULUMI_CREDENTIALS_PATH: pulumiVariables().credentialsPath ?? home,
  };
}

const PRIVATE = { recursive: true, mode: 0o700 } as const;

/** Puts the file in place by one rename, because other processes may do the same at this moment. */
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

/** This user can neither write into the folder of logs nor create it. */
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

function preparationError(home: string, error: unknown): InfraError {
  const reason = (error as NodeJS.ErrnoException).code ?? "unknown";
  return new InfraError(
    "RDEV_PREREQUISITE",
    `Pulumi's home ${home} cannot be prepared (${reason}). Pulumi's CLI writes debug logs that hold ` +
      `secrets, and the folder ${join(home, FOLDER)} prevents it. Make ${home} writable, set PULUMI_HOME ` +
      `to a folder that is, or put a file named "${LOGS}" into it.`,
  );
}
