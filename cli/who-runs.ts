import { hostname, userInfo } from "node:os";

/** Who sits here, as far as this machine knows: `ada@laptop`. */
export function whoRuns(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A container may run as a number that has no name.
    return `${process.getuid?.() ?? "unknown"}@${hostname()}`;
  }
}
