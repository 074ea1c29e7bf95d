import { parseProjectChanges, type ProjectChanges } from "./settings.ts";

/** The type of the record that a project's stack keeps of its settings. Old states name it. */
export const SETTINGS_RECORD = "rdev:components:SettingsRecord";

export const DATABASE = "pulumi-nodejs:dynamic/postgres:Database";
export const REPOSITORY = "pulumi-nodejs:dynamic/gitea:Repository";

/** A resource in a stack's state. */
export interface StateResource {
  readonly type: string;
  readonly outputs?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The settings that the last `up` of a project's stack was made with, without defaults. A stack that
 * was made before stacks recorded them has `formerly`, and what its resources say. Throws
 * RDEV_SETTINGS for a record that this version cannot read.
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
 * What a destroy keeps that names nothing. After a failed `up` the settings and the resources may
 * differ: what either of them keeps is kept. Throws as `settingsInState`.
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

function isRetained(resources: readonly StateResource[], wanted: string): boolean {
  return resources.some(({ type, outputs }) => type === wanted && outputs?.["retain"] === true);
}

/** Undefined in the state of a stack that was made before stacks recorded their settings. */
export function recordIn(resources: readonly StateResource[]): unknown {
  return resources.find(({ type }) => type === SETTINGS_RECORD)?.outputs?.["settings"];
}

/** The settings with those changed that are named. Sizes are settings of their own. */
export function changeSettings(before: ProjectChanges, changes: ProjectChanges): ProjectChanges {
  const sizes = { ...before.sizes, ...changes.sizes };
  const isSized = before.sizes !== undefined || changes.sizes !== undefined;
  return { ...before, ...changes, ...(isSized && { sizes }) };
}

/** A setting that differs; undefined stands for the default. */
export interface SettingDifference {
  /** As `sizes.replicas`. */
  readonly setting: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** What differs between two, by name. */
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

function entries({ sizes = {}, ...rest }: ProjectChanges): Map<string, unknown> {
  const ofSizes = Object.entries(sizes).map(([key, value]) => [`sizes.${key}`, value] as const);
  return new Map<string, unknown>([...Object.entries(rest), ...ofSizes]);
}
