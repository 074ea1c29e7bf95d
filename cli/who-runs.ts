import { hostname, userInfo } from "node:os";

/** The user and machine that run this command: `ada@laptop`. */
export function whoRuns(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A container may run as a number that has no name.
    return `${process.getuid?.() ?? "unknown"}@${hostname()}`;
  }
}
