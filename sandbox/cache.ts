import { homedir } from "node:os";
import { join } from "node:path";

/** Where built and downloaded tools are kept between runs. May be deleted at any time. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "rdev-infra");
}
