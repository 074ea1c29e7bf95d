import * as pulumi from "@pulumi/pulumi";
import { SETTINGS_RECORD } from "../core/recorded-settings.ts";
import type { ProjectChanges } from "../core/settings.ts";

export interface SettingsRecordArgs {
  /** Those that were given, without defaults. */
  readonly settings: ProjectChanges;
}

/**
 * The settings that a project's stack is made with, kept in its state. The next `up` starts from them,
 * whoever runs it. They are there as soon as anything is made, so a failed `up` loses none. Delete
 * deletes nothing.
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
