import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import {
  changeSettings,
  differenceText,
  recordIn,
  settingsDifferences,
  settingsInState,
  type SettingDifference,
  type StateResource,
} from "../core/recorded-settings.ts";
import type { ProjectChanges } from "../core/settings.ts";
import { projectConfig } from "./config.ts";

const answer = z.object({
  outputs: z.record(
    z.string(),
    z.object({ type: z.string(), outputs: z.record(z.string(), z.unknown()) }),
  ),
});

/**
 * The project's settings, without defaults: those of the last `up`, changed by what the config names.
 * A change is told before anything is made, since the config may be older than the last `up`.
 */
export async function ownSettings(formerly?: ProjectChanges): Promise<ProjectChanges> {
  const config = projectConfig();
  const resources = await ownState();
  const before = settingsInState(resources, formerly);
  const settings = changeSettings(before, config);
  if (resources.length > 0) {
    const isRecorded = recordIn(resources) !== undefined;
    // Where there is no record, a setting that is not known may be what the last up was made with.
    await tell(
      settingsDifferences(before, settings).filter(
        (each) => isRecorded || each.before !== undefined,
      ),
    );
  }
  return settings;
}

async function tell(differences: readonly SettingDifference[]): Promise<void> {
  if (differences.length === 0) return;
  const lines = differences.map((each) => `\n  - ${differenceText(each)}`);
  await pulumi.log.warn(
    `These settings are not as the last up was made with; up changes them:${lines.join("")}`,
  );
}

/** What this stack's state holds now. The engine answers it; no resource of it stays in the state. */
async function ownState(): Promise<StateResource[]> {
  const stackName = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const read = "pulumi:pulumi:readStackResourceOutputs";
  const { outputs } = answer.parse(await pulumi.runtime.invoke(read, { stackName }));
  return Object.values(outputs).filter(({ type }) => !type.startsWith("pulumi:"));
}
