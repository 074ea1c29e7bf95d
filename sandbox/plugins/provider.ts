/** The resource provider protocol in plain objects, which each stand-in plugin implements. */
import type { DiffResult } from "./diff.ts";
import type { Json, Properties } from "./values.ts";

export interface Resource {
  readonly urn: string;
  /** The type token, for example `kubernetes:apps/v1:Deployment`. */
  readonly type: string;
  /** The name in the program. */
  readonly name: string;
}

export interface CheckRequest extends Resource {
  readonly olds: Properties;
  readonly news: Properties;
  /** The proposal of the engine's autonaming, if that is configured. */
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
  /** In seconds; undefined if the program set none. */
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
  /** Empty for an import. */
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

/** Values in requests and answers carry the engine's marks of secrets and unknowns (values.ts). */
export interface Provider {
  readonly version: string;
  /** Whether create and update support a preview; otherwise the engine shows the inputs. */
  readonly previews: boolean;
  configure(config: Properties): void;
  check(request: CheckRequest): Awaitable<CheckResult>;
  diff(request: DiffRequest): Awaitable<DiffResult>;
  create(request: CreateRequest): Awaitable<{ id: string; outputs: Properties }>;
  /** Undefined if the resource is gone. */
  read(request: ReadRequest): Awaitable<ReadResult | undefined>;
  update(request: UpdateRequest): Awaitable<Properties>;
  delete(request: DeleteRequest): Awaitable<void>;
}

/** The provider's connection to the engine. */
export interface Engine {
  /** Aborted when the operation is cancelled, to end waits. */
  readonly cancelled: AbortSignal;
  /** Adds a line to the output of the operation. */
  log(severity: "info" | "warning", urn: string, message: string): void;
  /** Shows a temporary message for a resource. */
  status(urn: string, message: string): void;
}

/**
 * The resource exists but did not become ready. The engine keeps it in the state and updates it at
 * the next run.
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

/** A config value. Config arrives as text: numbers and booleans as their JSON. */
export function configText(config: Properties, name: string): string | undefined {
  const value: Json | undefined = config[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}
