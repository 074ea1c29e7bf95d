/** What the engine plans for a resource. Values carry Pulumi's marks for secrets and unknowns. */
export interface Step {
  /** The engine's operation, such as `create-replacement`. */
  readonly op: string;
  readonly urn: string;
  readonly type: string;
  /** False for a component, which only groups other resources. */
  readonly custom: boolean;
  readonly old?: State;
  readonly new?: State;
  /** Top-level properties whose change requires a replacement. */
  readonly replaceKeys: readonly string[];
  /** By path. Not every provider reports it. */
  readonly detailedDiff?: Readonly<Record<string, PathDiff>>;
}

export interface State {
  readonly inputs: Properties;
  readonly outputs: Properties;
}

export type Properties = Readonly<Record<string, unknown>>;

interface PathDiff {
  /** `add`, `delete` or `update`, with `-replace` if it requires a replacement. */
  readonly diffKind: string;
  /** Whether the old value is in the inputs instead of the outputs. */
  readonly inputDiff: boolean;
}

/** The type in a URN, without its parents' types; empty for a text that is not a URN. */
export function typeOf(urn: string): string {
  return urn.split("::")[2]?.split("$").at(-1) ?? "";
}

/** The logical name, which is the last part of a URN. */
export function nameOf(urn: string): string {
  return urn.split("::").slice(3).join("::");
}
