import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { processEnvironment } from "../../core/connections.ts";
import { InfraError, redact } from "../../core/errors.ts";
import { MANAGED_BY } from "../../core/ownership.ts";

/** In ms, for each git command. */
const DEADLINE = 60_000;
/** For a command's output, in bytes. */
const MAX_OUTPUT = 64 * 2 ** 20;

/** A repository on a server. */
export interface Remote {
  /** Over HTTP, without credentials. */
  readonly url: string;
  readonly token: string;
}

/**
 * Runs git on a remote repository and returns its stdout. The token is passed in git's environment, because
 * every user of the machine can read arguments, and whoever gets the folder can read the repository's
 * configuration.
 */
export async function runGit(
  cwd: string,
  { url, token }: Remote,
  args: readonly string[],
  deadline = DEADLINE,
): Promise<string> {
  const basic = Buffer.from(`x-access-token:${token}`).toString("base64");
  const env = {
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: `http.${new URL(url).origin}/.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}`,
  };
  try {
    return (await run(cwd, args, { env, deadline })).stdout;
  } catch (error) {
    const message = failureOf(error);
    const isDenied = /authentication failed|could not read username|(error:|HTTP) 40[13]\b/i.test(
      message,
    );
    throw new InfraError(
      isDenied ? "RDEV_UNAUTHORIZED" : "RDEV_REFUSED",
      redact(`git ${args[0]} on ${url}: ${message}`, [token, basic]),
    );
  }
}

interface LocalOptions {
  /** The exit code of a result that is not a failure. */
  readonly accept?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs git in a folder, without credentials. Returns its stdout and whether it ended with `accept`. */
export async function runLocalGit(
  cwd: string,
  args: readonly string[],
  { accept, env = {} }: LocalOptions = {},
): Promise<{ readonly stdout: string; readonly isAccepted: boolean }> {
  try {
    return { ...(await run(cwd, args, { env, deadline: DEADLINE })), isAccepted: false };
  } catch (error) {
    const { code, stdout } = error as Failure;
    if (code === accept && stdout !== undefined) return { stdout, isAccepted: true };
    throw new InfraError(
      "RDEV_REFUSED",
      `git ${args.find((word) => !word.startsWith("-"))}: ${failureOf(error)}`,
    );
  }
}

interface Failure {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly code?: unknown;
}

function failureOf(error: unknown): string {
  const { stderr, code } = error as Failure;
  return (stderr ?? "").trim() || `ended with ${String(code)}`;
}

function run(
  cwd: string,
  args: readonly string[],
  { env, deadline }: { readonly env: Readonly<Record<string, string>>; readonly deadline: number },
) {
  return promisify(execFile)("git", args, {
    cwd,
    timeout: deadline,
    maxBuffer: MAX_OUTPUT,
    env: {
      PATH: processEnvironment()["PATH"],
      HOME: cwd,
      // Ignores the user's configuration: hooks, signing, helpers. It also ignores a file .gitconfig that a
      // pull request has put into the folder.
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      GIT_AUTHOR_NAME: MANAGED_BY,
      GIT_AUTHOR_EMAIL: `${MANAGED_BY}@localhost`,
      GIT_COMMITTER_NAME: MANAGED_BY,
      GIT_COMMITTER_EMAIL: `${MANAGED_BY}@localhost`,
      LC_ALL: "C", // git's messages are compared
      ...env,
    },
  });
}
