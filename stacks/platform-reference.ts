import * as pulumi from "@pulumi/pulumi";
import { InfraError } from "../core/errors.ts";
import { parsePlatformSettings, type PlatformSettings } from "../core/settings.ts";

/** The settings of the platform that a project is on, from the outputs of its stack. */
export async function platformSettings(platform: string): Promise<PlatformSettings> {
  const stack = `${pulumi.getOrganization()}/${pulumi.getProject()}/${platform}`;
  const reference = new pulumi.StackReference(platform, { name: stack });
  const value: unknown = (await reference.getOutputDetails("settings")).value;
  if (value === undefined) {
    throw new InfraError(
      "RDEV_PLATFORM",
      `The platform stack "${platform}" has no settings: bring it up first ` +
        `(rdev-infra up ${platform}).`,
    );
  }
  return parsePlatformSettings(value as Record<string, unknown>);
}
