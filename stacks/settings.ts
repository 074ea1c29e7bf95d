import * as pulumi from "@pulumi/pulumi";
import { RandomId } from "@pulumi/random";
import { z } from "zod";
import { InfraError } from "../core/errors.ts";
import type { Owner } from "../core/ownership.ts";
import {
  changeSettings,
  differenceText,
  recordIn,
  SETTINGS_RECORD,
  settingsDifferences,
  settingsInState,
  type SettingDifference,
  type StateResource,
} from "../core/recorded-settings.ts";
import {
  parsePlatformConfig,
  parsePlatformSettings,
  parseProjectConfig,
  type PlatformSettings,
  type ProjectChanges,
} from "../core/settings.ts";

/**
 * The owner of this stack's objects. Its id is created with the stack and kept in the state. So a
 * stack with the same name on another platform, or after the state was lost, is another owner.
 */
export function stackOwner(platform: string, project: string): pulumi.Output<Owner> {
  const { hex } = new RandomId("stack-id", { byteLength: 8 });
  return hex.apply((stack) => ({ platform, project, stack }));
}

/** The platform's settings, from this stack's config. */
export function platformConfig(): PlatformSettings {
  return parsePlatformConfig(stackConfig());
}

const platformOutputs = z.object({
  outputs: z.object({ settings: z.record(z.string(), z.unknown()).optional() }),
});

/**
 * The settings of a project's platform, from the outputs of the platform's stack. `stored` are those
 * outputs' settings, if the caller has read them: the engine derives a second key to read them.
 */
export async function platformSettings(
  platform: string,
  stored?: Readonly<Record<string, unknown>>,
): Promise<PlatformSettings> {
  const settings = stored ?? (await settingsInOutputs(platform));
  if (settings === undefined) {
    throw new InfraError(
      "RDEV_PLATFORM",
      `The platform stack "${platform}" has no settings: bring it up first ` +
        `(rdev-infra up ${platform}).`,
    );
  }
  return parsePlatformSettings(settings);
}

/** Asks the engine without a StackReference, which would be a resource in some runs and not in others. */
async function settingsInOutputs(platform: string): Promise<Record<string, unknown> | undefined> {
  const name = `${pulumi.getOrganization()}/${pulumi.getProject()}/${platform}`;
  const answer: unknown = await pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", { name });
  return platformOutputs.parse(answer).outputs.settings;
}

interface SettingsRecordArgs {
  /** The settings without defaults. */
  readonly settings: ProjectChanges;
}

/**
 * Keeps the settings of a project's stack in its state. The next `up` starts from them, whoever runs
 * it. The engine saves the record with the first resources, so a failed `up` keeps the settings.
 * Delete does nothing.
 */
export class SettingsRecord extends pulumi.ComponentResource {
  constructor(
    name: string,
    { settings }: SettingsRecordArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    super(SETTINGS_RECORD, name, { settings }, options);

    this.registerOutputs({ settings });
  }
}

/**
 * The project's settings without defaults: those of the last `up`, changed by the config. The config
 * may be older than the last `up`, so differences are logged before anything is made. `formerly` are
 * the settings of a stack that has no record yet.
 */
export async function projectSettings(formerly?: ProjectChanges): Promise<ProjectChanges> {
  const config = parseProjectConfig(stackConfig());
  const resources = await stateOfThisStack();
  const before = settingsInState(resources, formerly);
  const settings = changeSettings(before, config);
  if (resources.length > 0) {
    const isRecorded = recordIn(resources) !== undefined;
    // Without a record, the last up may have used the same value for a setting that is unknown here.
    await warnOfDifferences(
      settingsDifferences(before, settings).filter(
        (each) => isRecorded || each.before !== undefined,
      ),
    );
  }
  return settings;
}

async function warnOfDifferences(differences: readonly SettingDifference[]): Promise<void> {
  if (differences.length === 0) return;
  const lines = differences.map((each) => `\n  - ${differenceText(each)}`);
  await pulumi.log.warn(
    `These settings differ from those of the last up; this up changes them:${lines.join("")}`,
  );
}

const stackOutputs = z.object({
  outputs: z.record(
    z.string(),
    z.object({ type: z.string(), outputs: z.record(z.string(), z.unknown()) }),
  ),
});

/** The resources in this stack's state. Asking the engine adds no resource to the state. */
async function stateOfThisStack(): Promise<StateResource[]> {
  const stackName = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const token = "pulumi:pulumi:readStackResourceOutputs";
  const { outputs } = stackOutputs.parse(await pulumi.runtime.invoke(token, { stackName }));
  return Object.values(outputs).filter(({ type }) => !type.startsWith("pulumi:"));
}

/** The config of this program's namespace as text, without the prefix: `domain` for `rdev:domain`. */
function stackConfig(): Record<string, string> {
  const prefix = `${pulumi.getProject()}:`;
  return Object.fromEntries(
    Object.entries(pulumi.runtime.allConfig())
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value]),
  );
}
