/**
 * What Pulumi's CLI, engine and plugins mean can only be read from their texts.
 *
 * Reason: the CLI exits with the same code for most failures and has no error codes, and the engine's
 * diagnostics are texts for a terminal. The SDK itself recognises errors by their text.
 * Workaround: every pattern that rdev-infra knows is in this file.
 * Upstream: https://github.com/pulumi/pulumi/issues/6137 (structured errors) and
 * https://github.com/pulumi/pulumi/issues/3897 (exit codes) ask for something better.
 * Seen in: Pulumi 3.259.0; KUBERNETES_UNAUTHORIZED in client-go of @pulumi/kubernetes 4.34.2.
 * Remove a pattern when: the contract test (cli-text.sandbox.test.ts) fails because the text changed.
 */
import { stripVTControlCharacters } from "node:util";
import { redact } from "../../../core/errors.ts";

/** Why a command of the CLI failed. */
export type CliFailure =
  | "locked"
  | "stack-not-found"
  | "stack-in-use"
  | "state-unreadable"
  | "passphrase-missing"
  | "passphrase-wrong"
  | "backend-missing"
  | "backend-unreachable";

const FAILURES: readonly (readonly [CliFailure, RegExp])[] = [
  ["locked", /the stack is currently locked by/],
  ["stack-not-found", /no stack named .* found/],
  ["stack-in-use", /still has resources/],
  ["state-unreadable", /failed to load checkpoint/],
  ["passphrase-missing", /passphrase must be set/],
  ["passphrase-wrong", /incorrect passphrase/],
  ["backend-missing", /PULUMI_ACCESS_TOKEN must be set/],
  ["backend-unreachable", /^error: unable to open state/m],
];

/** Reads the CLI's standard error; undefined for a failure that is not in the list above. */
export function cliFailure(stderr: string): CliFailure | undefined {
  return FAILURES.find(([, pattern]) => pattern.test(stderr))?.[0];
}

/** The lines with errors in the CLI's standard error, without the secrets. */
export function cliErrors(stderr: string, secrets: Iterable<string>): string[] {
  return stderr
    .split("\n")
    .filter((line) => /^error: /.test(line))
    .map((line) => cleanMessage(line, secrets))
    .filter((line) => line !== "");
}

/** A process that took the lock of a stack. It may have died since, and run on another machine. */
export interface LockHolder {
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly since: string;
}

/** The holders of a stack's locks, from the CLI's standard error. There can be several. */
export function lockHolders(stderr: string): LockHolder[] {
  return [...stderr.matchAll(/created by (.+)@(\S+) \(pid (\d+)\) at (\S+)/g)].map(
    ([, user = "", host = "", pid = "", since = ""]) => ({ user, host, pid: Number(pid), since }),
  );
}

/** The engine found operations in the state that an earlier run began and did not finish. */
export function isInterruptionWarning(message: string): boolean {
  return /^Attempting to deploy .* pending op/.test(message);
}

const KUBERNETES_UNAUTHORIZED = /the server has asked for the client to provide credentials/;

/** The API server refused the credentials (401), in the words of the plugin for Kubernetes. */
export function isKubernetesUnauthorized(message: string): boolean {
  return KUBERNETES_UNAUTHORIZED.test(message);
}

/** Messages that say nothing that an error or an event does not say. */
const BOILERPLATE = [
  /^(update|preview|refresh|destroy|deletion) (failed|cancell?ed)$/,
  /^resource monitor shut down/,
  /^One or more errors occurred/,
  // With continueOnError, Pulumi also reports what depends on a resource that failed.
  /^(error serializing property \S+: )*resource \S+ \[\S+\] failed to register$/,
  // Official plugins and stand-ins may both come from PATH. The sandbox prints which are in use.
  /^using pulumi-(resource|language)-\S+ from \$PATH/,
];

/** A message of the engine's for a person to read; empty if it says nothing new. */
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
    // The engine prints the value of a property that failed its check, even a secret one.
    .replace(/(property \S+) value \{[\s\S]*\} has a problem: /g, "$1: ")
    .trim();
  return BOILERPLATE.some((pattern) => pattern.test(clean)) ? "" : clean;
}
