import type { z } from "zod";
import type { Ownership } from "../../core/ownership.ts";

/** An object on the server with the name that a resource wants. */
export interface Found<Live = unknown> {
  readonly id: string;
  /** How it relates to the owner that the inputs name. */
  readonly ownership: Ownership;
  /** Why it is not ours, if the mark does not say so. Completes "The repository x …". */
  readonly reason?: string;
  /** The object itself, so that `apply` need not look it up again. */
  readonly object?: Live;
}

/** A property that is wrong, and the reason. */
export interface Failure {
  readonly property: string;
  readonly reason: string;
}

/**
 * The schemas and calls of one dynamic resource type. `dynamicProvider` does everything else: checks,
 * diffs, adoption, half-finished creates and redaction.
 *
 * A state is always inputs and attributes together. `create` makes and marks an object; `apply`
 * changes an existing object to match its inputs. Pulumi's create runs both, its update only `apply`.
 */
export interface Definition<
  Inputs extends z.ZodObject = z.ZodObject,
  Attributes extends z.ZodObject = z.ZodObject,
  Client = unknown,
  Live = unknown,
> {
  /** The module below `providers/`: `gitea/repository`. States refer to it, so never change it. */
  readonly module: string;
  /** The type: `gitea:Repository`. States name it, so never change it without an alias. */
  readonly type: string;
  /** The word for messages: `repository`. */
  readonly noun: string;
  readonly inputs: Inputs;
  /** Values that are known only after the object exists. */
  readonly attributes: Attributes;
  /** Inputs that cannot change in place. The old object is deleted first, because names are unique. */
  readonly replaceOn: readonly (keyof z.output<Inputs> & string)[];
  /** Secret inputs and attributes: encrypted in the state and removed from errors. */
  readonly secrets: readonly (keyof (z.output<Inputs> & z.output<Attributes>) & string)[];
  /** For one operation on one object, in ms. Default: 5 minutes. */
  readonly deadline?: number;

  /** Opens the connection that the environment variables describe. */
  connect(): Client | Promise<Client>;
  /** Closes the connection at once, also during a call that hangs. */
  close?(client: Client): Promise<void>;

  /** Checks that involve several properties, or the last inputs and the new ones. */
  rules?(inputs: z.output<Inputs>, last: Partial<z.output<Inputs>>): Failure[];

  /** Reads inputs from the server, in every preview and up. */
  lookUp?(client: Client, inputs: z.output<Inputs>): Promise<Partial<z.output<Inputs>>>;

  /** Finds the object with the name that the inputs ask for. On delete the attributes are known too. */
  find(
    client: Client,
    wanted: z.output<Inputs> & Partial<Known<Attributes>>,
  ): Promise<Found<Live> | undefined>;
  /** Creates and marks the object, and returns its id. Not called if the object exists. */
  create(client: Client, inputs: z.output<Inputs>): Promise<string>;
  /**
   * Changes the object to match its inputs. Must be idempotent. `last` is the state before an update.
   * `object` is what `find` returned, if that is this object. An error with status 404, or RDEV_GONE,
   * means that the object no longer exists.
   */
  apply(
    client: Client,
    id: string,
    inputs: z.output<Inputs>,
    last?: Partial<State<Inputs, Attributes>>,
    object?: Live,
  ): Promise<z.output<Attributes>>;
  /** Returns the part of the state that differs on the server, or undefined if the object is gone. */
  read(
    client: Client,
    id: string,
    state: State<Inputs, Attributes>,
  ): Promise<Partial<State<Inputs, Attributes>> | undefined>;
  /**
   * Throws RDEV_FORBIDDEN if the credential could not see the object even if it existed. Called before
   * a missing object counts as gone, because some servers answer "not found" for "not allowed".
   */
  assertVisible?(
    client: Client,
    wanted: z.output<Inputs> & Partial<Known<Attributes>>,
  ): Promise<void>;
  /** Deletes the object. Called only if `find` returned the same id and the ownership `ours`. */
  delete(client: Client, id: string, state: State<Inputs, Attributes>): Promise<void>;
}

export type State<Inputs extends z.ZodObject, Attributes extends z.ZodObject> = z.output<Inputs> &
  Known<Attributes>;

/** With no attributes, their output type would forbid every property, including the inputs. */
type Known<Attributes extends z.ZodObject> = keyof Attributes["shape"] extends never
  ? unknown
  : z.output<Attributes>;

/** Infers a definition's types from its schemas. */
export function define<I extends z.ZodObject, A extends z.ZodObject, C, L>(
  definition: Definition<I, A, C, L>,
): Definition<I, A, C, L> {
  return definition;
}
