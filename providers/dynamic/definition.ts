import type { z } from "zod";
import type { Ownership } from "../../core/ownership.ts";

/** An object that is on the server under the name that a resource wants. */
export interface Found {
  readonly id: string;
  /** How it relates to the owner that the inputs name. */
  readonly ownership: Ownership;
  /** Why it is not ours, where the mark alone does not tell; it completes "The repository x …". */
  readonly reason?: string;
}

/** A property that is wrong, and why. */
export interface Failure {
  readonly property: string;
  readonly reason: string;
}

/**
 * What one kind of dynamic resource is: its shapes, and the calls on its system. Everything else
 * (checks, diffs, adoption, half-finished creates, redaction) is `dynamicProvider`'s.
 *
 * A state is always inputs and attributes together. `create` makes and marks an object, `apply`
 * brings an existing one to its inputs; together they are a create, `apply` alone is an update.
 */
export interface Definition<
  Inputs extends z.ZodObject = z.ZodObject,
  Attributes extends z.ZodObject = z.ZodObject,
  Client = unknown,
> {
  /** The module below `providers/`, as `gitea/repository`. States refer to it: never change it. */
  readonly module: string;
  /** As `gitea:Repository`. States name it: never change it without an alias. */
  readonly type: string;
  /** In messages: `repository`. */
  readonly noun: string;
  readonly inputs: Inputs;
  /** What is known only once the object exists. */
  readonly attributes: Attributes;
  /** Inputs that cannot be changed in place. The old object goes first: names are unique. */
  readonly replaceOn: readonly (keyof z.output<Inputs> & string)[];
  /** Inputs and attributes that are secret: encrypted in the state, taken out of errors. */
  readonly secrets: readonly (keyof (z.output<Inputs> & z.output<Attributes>) & string)[];
  /** For one operation on one object, in ms. Default: 5 minutes. */
  readonly deadline?: number;

  /** Opens the connection, from the environment variables. */
  connect(): Client | Promise<Client>;
  /** Ends the connection at once, also in the middle of a call that hangs. */
  close?(client: Client): Promise<void>;

  /** Rules across properties, or between the last inputs and the new ones. */
  rules?(inputs: z.output<Inputs>, last: Partial<z.output<Inputs>>): Failure[];

  /** Inputs that the server tells, at every preview and up. */
  lookUp?(client: Client, inputs: z.output<Inputs>): Promise<Partial<z.output<Inputs>>>;

  /** What stands under the name that these inputs ask for. On delete the attributes are there too. */
  find(
    client: Client,
    wanted: z.output<Inputs> & Partial<Known<Attributes>>,
  ): Promise<Found | undefined>;
  /** Makes and marks the object, and no more; its id. Not called where one exists. */
  create(client: Client, inputs: z.output<Inputs>): Promise<string>;
  /**
   * Brings the object to its inputs. May run any number of times. `last` is the state before an
   * update. An error with status 404, or RDEV_GONE, says that the object is not there any more.
   */
  apply(
    client: Client,
    id: string,
    inputs: z.output<Inputs>,
    last?: Partial<State<Inputs, Attributes>>,
  ): Promise<z.output<Attributes>>;
  /** What of the state is different on the server; undefined when the object is gone. */
  read(
    client: Client,
    id: string,
    state: State<Inputs, Attributes>,
  ): Promise<Partial<State<Inputs, Attributes>> | undefined>;
  /**
   * Throws RDEV_FORBIDDEN where the credential could not see the object if it were there. Asked
   * before a missing object counts as gone: some servers answer "not found" for "not allowed".
   */
  assertVisible?(
    client: Client,
    wanted: z.output<Inputs> & Partial<Known<Attributes>>,
  ): Promise<void>;
  /** Deletes it. Called only where `find` gives the same id and says it is ours. */
  delete(client: Client, id: string, state: State<Inputs, Attributes>): Promise<void>;
}

export type State<Inputs extends z.ZodObject, Attributes extends z.ZodObject> = z.output<Inputs> &
  Known<Attributes>;

/** The output of no attributes would be an object without any property, inputs included. */
type Known<Attributes extends z.ZodObject> = keyof Attributes["shape"] extends never
  ? unknown
  : z.output<Attributes>;

/** Infers a definition's types from its schemas. */
export function define<I extends z.ZodObject, A extends z.ZodObject, C>(
  definition: Definition<I, A, C>,
): Definition<I, A, C> {
  return definition;
}
