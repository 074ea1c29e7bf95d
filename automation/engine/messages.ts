import { ERROR_CODES, InfraError } from "../../core/errors.ts";
import type { OperationError } from "../../core/operation.ts";
import {
  cliErrors,
  cliFailure,
  isKubernetesUnauthorized,
  lockHolders,
  type LockHolder,
} from "./quirks/cli-text.ts";

/** Makes an error of a clean message, and takes the code of rdev-infra out of it if there is one. */
export function toError(message: string, urn?: string): OperationError {
  const resource = urn === undefined ? {} : { urn };
  const [prefix, code = ""] = /^.*?\b(RDEV_[A-Z_]+): /s.exec(message) ?? [];
  if (prefix !== undefined && code in ERROR_CODES) {
    return { code, ...resource, message: message.slice(prefix.length) };
  }
  const isUnauthorized = isKubernetesUnauthorized(message);
  return { ...(isUnauthorized && { code: "RDEV_UNAUTHORIZED" }), ...resource, message };
}

/** The error for a command of Pulumi's CLI that failed before the engine could report why. */
export function commandFailure(
  stderr: string,
  stack: string,
  secrets: Iterable<string>,
  isGone: (holder: LockHolder) => boolean = () => false,
): InfraError {
  const errors = cliErrors(stderr, secrets).join("\n");
  switch (cliFailure(stderr)) {
    case "locked":
      return new InfraError("RDEV_ENGINE", lockedMessage(stderr, stack, isGone));
    case "stack-not-found":
      return new InfraError(
        "RDEV_ENGINE",
        `The stack "${stack}" does not exist in this backend. Create it: rdev-infra up ${stack}`,
      );
    case "state-unreadable":
      return new InfraError(
        "RDEV_ENGINE",
        `The state of the stack "${stack}" cannot be read: a full disk cut its file short. The previous ` +
          `state is beside it: copy .pulumi/stacks/rdev/${stack}.json.bak to ${stack}.json, and run ` +
          "this again. It finds what was begun since.",
      );
    case "passphrase-missing":
      return missingPassphrase();
    case "passphrase-wrong":
      return new InfraError(
        "RDEV_CONNECTION",
        `PULUMI_CONFIG_PASSPHRASE is not the passphrase that the stack "${stack}" was created with.`,
      );
    case "backend-missing":
      return new InfraError(
        "RDEV_CONNECTION",
        "PULUMI_BACKEND_URL is missing. It is the address of the stacks' state " +
          "(file://…, postgres://… or s3://…).",
      );
    case "backend-unreachable":
      return new InfraError("RDEV_UNREACHABLE", `The state's backend: ${errors}`);
    case "stack-in-use":
    case undefined:
      return new InfraError(
        "RDEV_ENGINE",
        errors === "" ? "Pulumi's engine exited without reporting a cause." : errors,
      );
  }
}

export function missingPassphrase(): InfraError {
  return new InfraError(
    "RDEV_CONNECTION",
    "PULUMI_CONFIG_PASSPHRASE is missing, and so is PULUMI_CONFIG_PASSPHRASE_FILE. " +
      "The secrets in the state are encrypted with this passphrase.",
  );
}

function lockedMessage(
  stderr: string,
  stack: string,
  isGone: (holder: LockHolder) => boolean,
): string {
  const [holder] = lockHolders(stderr);
  const remedy =
    `"pulumi cancel ${stack}" removes the lock; ` +
    `then run "rdev-infra refresh ${stack}", and this again.`;
  if (!holder) {
    return `The stack "${stack}" is locked. Wait for the other operation to end. Otherwise: ${remedy}`;
  }
  const { user, host, pid, since } = holder;
  const lock = `The stack "${stack}" has been locked since ${since} by ${user}@${host}, process ${pid}`;
  return isGone(holder)
    ? `${lock}, which no longer runs. ${remedy}`
    : `${lock}. Wait until it ends. If that process was killed: ${remedy}`;
}
