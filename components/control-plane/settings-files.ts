import { stringify } from "yaml";
import type { ServiceSettings } from "../../core/service-settings.ts";

/** Where the files are in the service's container. */
export const FILES = "/etc/rdev-infra";

/** The settings that the service reads from files, and the variables that name them. */
const ALL = [
  { name: "identity", variable: "RDEV_INFRA_IDENTITY_FILE" },
  { name: "notifications", variable: "RDEV_INFRA_NOTIFICATIONS_FILE" },
] as const;

function given(settings: ServiceSettings) {
  return ALL.filter(({ name }) => settings[name] !== undefined);
}

/** The files with their contents; empty if no such setting is set. */
export function settingsFiles(settings: ServiceSettings): Record<string, string> {
  return Object.fromEntries(
    given(settings).map(({ name }) => [`${name}.yaml`, stringify(settings[name])]),
  );
}

/** The variables that name the files. */
export function fileVariables(settings: ServiceSettings): Record<string, string> {
  return Object.fromEntries(
    given(settings).map(({ name, variable }) => [variable, `${FILES}/${name}.yaml`]),
  );
}
