/** What the engine tells of a resource in a preview. Values bear Pulumi's own marks. */
export interface Step {
  /** The engine's word, as `create-replacement`. */
  readonly op: string;
  readonly urn: string;
  readonly type: string;
  /** False for a component: a group of others, without an object of its own. */
  readonly custom: boolean;
  readonly old?: State;
  readonly new?: State;
  /** Top-level properties that replace. */
  readonly replaceKeys: readonly string[];
  /** By path. Not every provider tells it. */
  readonly detailedDiff?: Readonly<Record<string, PathDiff>>;
}

export interface State {
  readonly inputs: Properties;
  readonly outputs: Properties;
}

export type Properties = Readonly<Record<string, unknown>>;

export interface PathDiff {
  /** `add`, `delete` or `update`, with `-replace` where it replaces. */
  readonly diffKind: string;
  /** The old value is among the inputs, not the outputs. */
  readonly inputDiff: boolean;
}

/** The logical name: the last part of a URN. */
export function nameOf(urn: string): string {
  return urn.split("::").slice(3).join("::");
}
