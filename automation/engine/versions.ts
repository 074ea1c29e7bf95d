import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { z } from "zod";
import { PACKAGE } from "./folders.ts";

/** The version of rdev-infra. */
export function ownVersion(): string {
  const file: unknown = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8"));
  return z.object({ version: z.string() }).parse(file).version;
}

/** The version of `@pulumi/<name>` that is installed in the folder, without a `v`. */
export function sdkVersion(name: string, folder = PACKAGE): string {
  const require = createRequire(join(folder, "package.json"));
  const { version } = require(`@pulumi/${name}/package.json`) as { version: string };
  return version.replace(/^v/, "");
}

/**
 * Whether the SDK can use a CLI of this version. The major versions must be equal, because a new one
 * may change the protocol between them. The CLI's minor version must not be older, because the SDK
 * uses flags that only its own release has. A newer CLI is fine: Pulumi keeps it compatible, and the
 * tests in tests/automation/engine/quirks say whether the workarounds there still hold.
 */
export function isSupportedCli(version: string, sdk = sdkVersion("pulumi")): boolean {
  const [major, minor] = version.split(".").map(Number);
  const [sdkMajor, sdkMinor] = sdk.split(".").map(Number);
  return major === sdkMajor && (minor ?? -1) >= (sdkMinor ?? 0);
}
