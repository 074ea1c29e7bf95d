import { parseProjectChanges, type ProjectChanges } from "./settings.ts";

/** The type of the resource that records a project's settings. States contain it: never change it. */
export const SETTINGS_RECORD = "rdev:components:SettingsRecord";

export const DATABASE = "pulumi-nodejs:dynamic/postgres:Database";
export const REPOSITORY = "pulumi-nodejs:dynamic/gitea:Repository";

/** A resource in a stack's state. */
export interface StateResource {
  readonly type: string;
  readonly outputs?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The settings of the last `up` of a project's stack, without defaults. A stack of an older version
 * has no record. Its settings are `formerly` and those that its resources show. Throws RDEV_SETTINGS
 * if this version cannot read the record.
 */
export function settingsInState(
  resources: readonly StateResource[],
  formerly: ProjectChanges = {},
): ProjectChanges {
  const record = recordIn(resources);
  if (record !== undefined) return parseProjectChanges(record as Record<string, unknown>);
  return {
    ...formerly,
    ...(isRetained(resources, DATABASE) && { retainData: true }),
    ...(isRetained(resources, REPOSITORY) && { retainRepository: true }),
  };
}

/**
 * The objects that a destroy keeps if the request does not say so. After a failed `up` the settings
 * and the resources may differ; then an object is kept if either says so. Throws like
 * `settingsInState`.
 */
export function keptByDestroy(
  resources: readonly StateResource[],
  formerly?: ProjectChanges,
): { readonly retainData: boolean; readonly retainRepository: boolean } {
  const { retainData, retainRepository } = settingsInState(resources, formerly);
  return {
    retainData: retainData === true || isRetained(resources, DATABASE),
    retainRepository: retainRepository === true || isRetained(resources, REPOSITORY),
  };
}

function isRetained(resources: readonly StateResource[], retained: string): boolean {
  return resources.some(({ type, outputs }) => type === retained && outputs?.["retain"] === true);
}

/** The record in a state; undefined in the state of an older version. */
export function recordIn(resources: readonly StateResource[]): unknown {
  return resources.find(({ type }) => type === SETTINGS_RECORD)?.outputs?.["settings"];
}

/** Applies changes to settings. Sizes are changed one by one. */
export function changeSettings(before: ProjectChanges, changes: ProjectChanges): ProjectChanges {
  const sizes = { ...before.sizes, ...changes.sizes };
  const isSized = before.sizes !== undefined || changes.sizes !== undefined;
  return { ...before, ...changes, ...(isSized && { sizes }) };
}

/** A setting that differs; undefined means the default. */
export interface SettingDifference {
  /** The name, such as `sizes.replicas`. */
  readonly setting: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** The differences between two sets of settings, sorted by name. */
export function settingsDifferences(
  before: ProjectChanges,
  after: ProjectChanges,
): SettingDifference[] {
  const [old, now] = [entries(before), entries(after)];
  return [...new Set([...old.keys(), ...now.keys()])]
    .toSorted()
    .map((setting) => ({ setting, before: old.get(setting), after: now.get(setting) }))
    .filter((each) => each.before !== each.after);
}

/** `sizes.replicas: 3 → 2`. */
export function differenceText({ setting, before, after }: SettingDifference): string {
  return `${setting}: ${valueText(before)} → ${valueText(after)}`;
}

function valueText(value: unknown): string {
  return value === undefined ? "the default" : JSON.stringify(value);
}

function entries({ sizes = {}, labels = {}, ...rest }: ProjectChanges): Map<string, unknown> {
  const within = (name: string, all: object) =>
    Object.entries(all).map(([key, value]): [string, unknown] => [`${name}.${key}`, value]);
  return new Map([...Object.entries(rest), ...within("sizes", sizes), ...within("labels", labels)]);
}
