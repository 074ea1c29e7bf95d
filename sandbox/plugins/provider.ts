/** The resource provider protocol in plain objects: what a stand-in plugin implements. */
import type { DiffResult } from "./diff.ts";
import type { Json, Properties } from "./values.ts";

export interface Resource {
  readonly urn: string;
  /** The type token, for example `kubernetes:apps/v1:Deployment`. */
  readonly type: string;
  /** The name that the program gave it. */
  readonly name: string;
}

export interface CheckRequest extends Resource {
  readonly olds: Properties;
  readonly news: Properties;
  /** The name that the engine's autonaming proposes, where it is configured. */
  readonly proposedName: string | undefined;
}

export interface CheckResult {
  readonly inputs: Properties;
  readonly failures?: readonly { readonly property: string; readonly reason: string }[];
}

export interface DiffRequest extends Resource {
  readonly id: string;
  readonly outputs: Properties;
  readonly oldInputs: Properties;
  readonly news: Properties;
  readonly ignoreChanges: readonly string[];
}

export interface CreateRequest extends Resource {
  readonly inputs: Properties;
  /** Seconds; undefined where the program set none. */
  readonly timeout: number | undefined;
  readonly preview: boolean;
}

export interface UpdateRequest extends CreateRequest {
  readonly id: string;
  readonly outputs: Properties;
  readonly oldInputs: Properties;
  readonly ignoreChanges: readonly string[];
}

export interface ReadRequest extends Resource {
  readonly id: string;
  /** Empty on an import. */
  readonly inputs: Properties;
  readonly outputs: Properties;
}

export interface ReadResult {
  readonly id: string;
  readonly inputs: Properties;
  readonly outputs: Properties;
}

export interface DeleteRequest extends Resource {
  readonly id: string;
  readonly inputs: Properties;
  readonly outputs: Properties;
  readonly timeout: number | undefined;
}

type Awaitable<T> = T | Promise<T>;

/** A provider. Values it gets and gives carry the marks of secrets and unknowns (values.ts). */
export interface Provider {
  readonly version: string;
  /** True where create and update answer a preview too; otherwise the engine shows the inputs. */
  readonly previews: boolean;
  configure(config: Properties): void;
  check(request: CheckRequest): Awaitable<CheckResult>;
  diff(request: DiffRequest): Awaitable<DiffResult>;
  create(request: CreateRequest): Awaitable<{ id: string; outputs: Properties }>;
  /** Undefined where the resource is gone. */
  read(request: ReadRequest): Awaitable<ReadResult | undefined>;
  update(request: UpdateRequest): Awaitable<Properties>;
  delete(request: DeleteRequest): Awaitable<void>;
}

/** What a provider can tell the engine, and hear from it. */
export interface Engine {
  /** Aborted when the operation is cancelled: whoever waits stops. */
  readonly cancelled: AbortSignal;
  /** Writes a line that stays in the output of the operation. */
  log(severity: "info" | "warning", urn: string, message: string): void;
  /** Shows what is going on with a resource until something else is shown. */
  status(urn: string, message: string): void;
}

/**
 * The resource exists, but did not become what it should be. The engine keeps it in the state by
 * its id, and tries an update at the next run.
 */
export class InitializationError extends Error {
  override readonly name = "InitializationError";
  readonly id: string;
  readonly outputs: Properties;

  constructor(message: string, id: string, outputs: Properties) {
    super(message);
    this.id = id;
    this.outputs = outputs;
  }
}

/** Config values arrive as text, numbers and booleans as their JSON. */
export function configText(config: Properties, name: string): string | undefined {
  const value: Json | undefined = config[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}
