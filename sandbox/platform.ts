import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { parsePlatformSettings, type PlatformSettings } from "../core/settings.ts";

/** The platform whose place the sandbox takes. */
export const PLATFORM = "staging";

/** The settings of that platform's stack, from its config in this repository. */
export async function sandboxPlatform(): Promise<PlatformSettings> {
  const file = join(import.meta.dirname, "..", `Pulumi.${PLATFORM}.yaml`);
  const { config } = parse(await readFile(file, "utf8")) as { config: Record<string, unknown> };
  return parsePlatformSettings(
    Object.fromEntries(
      Object.entries(config).map(([key, value]) => [key.replace(/^rdev:/, ""), value]),
    ),
  );
}
