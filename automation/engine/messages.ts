import { stripVTControlCharacters } from "node:util";
import { ERROR_CODES, InfraError, redact, type ErrorCode } from "../../core/errors.ts";

/** An error of an operation, for a user: holds no secret and no stack trace. */
export interface OperationError {
  /** Where the error is one of rdev-infra's own. */
  readonly code?: ErrorCode;
  /** The resource it belongs to. */
  readonly urn?: string;
  readonly message: string;
}

/** What the engine says beside the error itself, or says again. */
const BOILERPLATE = [
  /^(update|preview|refresh|destroy|deletion) (failed|cancell?ed)$/,
  /^resource monitor shut down/,
  /^One or more errors occurred/,
  // Of what depends on a resource that failed, where Pulumi is to continue on errors.
  /^(error serializing property \S+: )*resource \S+ \[\S+\] failed to register$/,
  // Official plugins and stand-ins alike may come from PATH: the sandbox says which are in use.
  /^using pulumi-(resource|language)-\S+ from \$PATH/,
];

/** A message of the engine's as a person may read it; empty when it says nothing of its own. */
export function cleanMessage(text: string, secrets: Iterable<string>): string {
  const clean = redact(stripVTControlCharacters(text), secrets)
    .replace(/<\{%[^%]*%\}>/g, "") // the engine's own colour tags
    .split("\n")
    .filter((line) => !/^\s+at\s\S/.test(line)) // stack traces
    .join("\n")
    .trim()
    .replace(/^(error|warning|info|debug): /, "")
    .replace(/^Unhandled exception: (\w*Error( \[\w+\])?: )?/, "")
    .replace(/rpc error: code = \w+ desc = /g, "")
    .replace(/^\d+ errors? occurred:\s+\* /, "")
    .replace(/^(creating|updating|deleting|refreshing|reading) urn:\S+: /, "")
    // The engine prints the value of a property that failed its check, secret or not.
    .replace(/(property \S+) value \{[\s\S]*\} has a problem: /g, "$1: ")
    .trim();
  return BOILERPLATE.some((pattern) => pattern.test(clean)) ? "" : clean;
}

/** What the plugin for Kubernetes says of a 401; the text is client-go's (apimachinery, errors.go). */
const KUBERNETES_UNAUTHORIZED = /the server has asked for the client to provide credentials/;

/** Takes the code out of a clean message that holds one of ours. */
export function toError(message: string, urn?: string): OperationError {
  const match = /\b(RDEV_[A-Z_]+): /.exec(message);
  const code = match?.[1];
  const known = code !== undefined && code in ERROR_CODES;
  const isUnauthorized = !known && KUBERNETES_UNAUTHORIZED.test(message);
  return {
    ...(known && { code: code as ErrorCode }),
    ...(isUnauthorized && { code: "RDEV_UNAUTHORIZED" }),
    ...(urn !== undefined && { urn }),
    message: known ? message.slice(match!.index + match![0].length) : message,
  };
}

/** A process that ran, or died, on some machine. */
export interface LockHolder {
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly since: string;
}

/** Why Pulumi's CLI ended without the engine saying so, from what it wrote to stderr. */
export function commandFailure(
  stderr: string,
  stack: string,
  secrets: Iterable<string>,
  isGone: (holder: LockHolder) => boolean = () => false,
): InfraError {
  if (isLocked(stderr)) {
    return new InfraError("RDEV_ENGINE", lockedMessage(stderr, stack, isGone));
  }
  if (isStackNotFound(stderr)) {
    return new InfraError(
      "RDEV_ENGINE",
      `The stack "${stack}" does not exist in this backend. "rdev-infra up ${stack}" makes it.`,
    );
  }
  if (stderr.includes("failed to load checkpoint")) {
    return new InfraError(
      "RDEV_ENGINE",
      `The state of the stack "${stack}" cannot be read: a full disk cut its file short. The state ` +
        `before it lies beside it: put .pulumi/stacks/rdev/${stack}.json.bak in place of ` +
        `${stack}.json, and run this again; what was begun since is taken up.`,
    );
  }
  if (stderr.includes("passphrase must be set")) return missingPassphrase();
  if (stderr.includes("incorrect passphrase")) {
    return new InfraError(
      "RDEV_CONNECTION",
      `PULUMI_CONFIG_PASSPHRASE is not the one that the stack "${stack}" was made with.`,
    );
  }
  if (stderr.includes("PULUMI_ACCESS_TOKEN must be set")) {
    return new InfraError(
      "RDEV_CONNECTION",
      "PULUMI_BACKEND_URL is missing: it says where the stacks' state is kept " +
        "(file://…, postgres://… or s3://…).",
    );
  }
  const said = stderr
    .split("\n")
    .filter((line) => /^error: /.test(line))
    .map((line) => cleanMessage(line, secrets))
    .filter((line) => line !== "");
  if (said.some((line) => /^unable to open state/.test(line))) {
    return new InfraError("RDEV_UNREACHABLE", `The state's backend: ${said.join("\n")}`);
  }
  return new InfraError(
    "RDEV_ENGINE",
    said.length > 0 ? said.join("\n") : "Pulumi's engine ended without saying why.",
  );
}

export function isLocked(stderr: string): boolean {
  return stderr.includes("the stack is currently locked by");
}

/** Who holds the stack's locks, from what the CLI wrote: there can be several. */
export function lockHolders(stderr: string): LockHolder[] {
  return [...stderr.matchAll(/created by (.+)@(\S+) \(pid (\d+)\) at (\S+)/g)].map(
    ([, user = "", host = "", pid = "", since = ""]) => ({ user, host, pid: Number(pid), since }),
  );
}

export function isStackNotFound(stderr: string): boolean {
  return /no stack named .* found/.test(stderr);
}

export function missingPassphrase(): InfraError {
  return new InfraError(
    "RDEV_CONNECTION",
    "PULUMI_CONFIG_PASSPHRASE is missing, and so is PULUMI_CONFIG_PASSPHRASE_FILE: " +
      "the secrets in the state are encrypted with it.",
  );
}

function lockedMessage(
  stderr: string,
  stack: string,
  isGone: (holder: LockHolder) => boolean,
): string {
  const [holder] = lockHolders(stderr);
  const breakIt =
    `"pulumi cancel ${stack}" removes the lock; ` +
    `then run "rdev-infra refresh ${stack}", and this again.`;
  if (!holder)
    return `The stack "${stack}" is locked. Wait for the other operation, or: ${breakIt}`;
  const { user, host, pid, since } = holder;
  const who = `${user}@${host}, process ${pid}`;
  return isGone(holder)
    ? `The stack "${stack}" is locked since ${since} by ${who}, which no longer runs. ${breakIt}`
    : `The stack "${stack}" is being worked on since ${since} by ${who}. Wait until it is done. ` +
        `If that process was killed: ${breakIt}`;
}
