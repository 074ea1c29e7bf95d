import * as pulumi from "@pulumi/pulumi";
import {
  parsePlatformConfig,
  parseProjectConfig,
  type PlatformSettings,
  type ProjectChanges,
} from "../core/settings.ts";

/** The platform's settings, from this stack's config. */
export function platformConfig(): PlatformSettings {
  return parsePlatformConfig(ownConfig());
}

/** The project's settings that this stack's config names. */
export function projectConfig(): ProjectChanges {
  return parseProjectConfig(ownConfig());
}

/** All config of this program's own namespace, as text: `domain` for `rdev:domain`. */
function ownConfig(): Record<string, string> {
  const prefix = `${pulumi.getProject()}:`;
  return Object.fromEntries(
    Object.entries(pulumi.runtime.allConfig())
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value]),
  );
}
