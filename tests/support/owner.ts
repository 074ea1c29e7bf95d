import type { Owner } from "../../core/ownership.ts";
import { PLATFORM } from "../../sandbox/platform.ts";

/** The owner of objects that a test makes without a stack. */
export function testOwner(project: string): Owner {
  return { platform: PLATFORM, project, stack: "0123456789abcdef" };
}
