import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { processEnvironment } from "../../core/connections.ts";
import { InfraError, redact } from "../../core/errors.ts";
import { MANAGED_BY } from "../../core/ownership.ts";

/** In ms, for each git command. */
const DEADLINE = 60_000;

/** A repository on a server. */
export interface Remote {
  /** Over HTTP, without credentials. */
  readonly url: string;
  readonly token: string;
}

/**
 * Runs git and returns its stdout. The token is passed in git's environment, because every user of the
 * machine can read arguments, and whoever gets the folder can read the repository's configuration.
 */
export async function runGit(
  cwd: string,
  { url, token }: Remote,
  args: readonly string[],
  deadline = DEADLINE,
): Promise<string> {
  const basic = Buffer.from(`x-access-token:${token}`).toString("base64");
  const env = {
    PATH: processEnvironment()["PATH"],
    HOME: cwd, // ignores the user's configuration: hooks, signing, helpers
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: `http.${new URL(url).origin}/.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}`,
    GIT_AUTHOR_NAME: MANAGED_BY,
    GIT_AUTHOR_EMAIL: `${MANAGED_BY}@localhost`,
    GIT_COMMITTER_NAME: MANAGED_BY,
    GIT_COMMITTER_EMAIL: `${MANAGED_BY}@localhost`,
  };
  try {
    return (await promisify(execFile)("git", args, { cwd, env, timeout: deadline })).stdout;
  } catch (error) {
    const { stderr, code } = error as { stderr?: string; code?: unknown };
    const message = (stderr ?? "").trim() || `ended with ${String(code)}`;
    const isDenied = /authentication failed|could not read username|403|401/i.test(message);
    throw new InfraError(
      isDenied ? "RDEV_UNAUTHORIZED" : "RDEV_REFUSED",
      redact(`git ${args[0]} on ${url}: ${message}`, [token, basic]),
    );
  }
}
