import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { parsePlatformSettings, type PlatformSettings } from "../../core/settings.ts";
import { PACKAGE } from "../engine/folders.ts";
import { storedState } from "../engine/quirks/state-file.ts";

/** In ms: how old the settings may be. */
const SETTINGS_AGE_MS = 60_000;

const platformState = z.looseObject({
  deployment: z.looseObject({
    resources: z
      .array(
        z.looseObject({
          type: z.string(),
          outputs: z
            .looseObject({ settings: z.record(z.string(), z.unknown()).optional() })
            .optional(),
        }),
      )
      .nullish(),
  }),
});

export type FleetSettings = Pick<PlatformSettings, "drift" | "lifetime" | "sizes" | "maxSizes">;

/**
 * Reads the settings of the platform's last `up`, at most once a minute. Rejects with RDEV_PLATFORM if
 * there was none, and with RDEV_SETTINGS if this version cannot read them.
 */
export function fleetSettings(
  platform: string,
  now: () => number = () => performance.now(),
): () => Promise<FleetSettings> {
  let readAt = -Infinity;
  let known: FleetSettings | undefined;
  return async () => {
    if (known && now() < readAt + SETTINGS_AGE_MS) return known;
    known = await readSettings(platform);
    readAt = now();
    return known;
  };
}

async function readSettings(platform: string): Promise<FleetSettings> {
  const { deployment } = platformState.catch({ deployment: {} }).parse(await stateOf(platform));
  const stack = deployment.resources?.find(({ type }) => type === "pulumi:pulumi:Stack");
  const settings = stack?.outputs?.settings;
  if (settings) return parsePlatformSettings(settings);
  throw new InfraError(
    "RDEV_PLATFORM",
    `The platform "${platform}" has no settings: bring it up first (rdev-infra up ${platform}).`,
  );
}

/** A state that is not in a file takes Pulumi's SDK, which needs 80 MB: it is loaded only then. */
async function stateOf(platform: string): Promise<unknown> {
  const stored = await storedState(platform, PACKAGE);
  if (stored !== undefined) return stored;
  const { exportState } = await import("../engine/state.ts");
  return exportState(platform, PACKAGE);
}
