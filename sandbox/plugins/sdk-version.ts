import { createRequire } from "node:module";

/** The version of an SDK among the dependencies: the one that its stand-in plugin answers for. */
export function sdkVersion(sdk: string): string {
  const { version } = createRequire(import.meta.url)(`${sdk}/package.json`) as { version: string };
  return version.replace(/^v/, "");
}
