import { type Mark, type Owner, ownershipOf } from "../core/ownership.ts";
import type { PlatformSettings } from "../core/settings.ts";

/** The project whose leftovers are searched. */
export interface ProbedProject {
  readonly slug: string;
  /** The owner that its stack marked objects with. Without a stack its `stack` is empty. */
  readonly owner: Owner;
  readonly settings: Pick<
    PlatformSettings,
    "domain" | "gitOrganization" | "citadelOrganization" | "registry"
  >;
  /** The database was to be kept, so a locked role and its database are retained. Default: false. */
  readonly retainData?: boolean;
  /** The repository was to be kept, so an archived one is retained. Default: false. */
  readonly retainRepository?: boolean;
}

/** An object on a server that has the project's name. */
export interface Leftover {
  /** The object, in words that a person can search for: `repository projects/my-app`. */
  readonly what: string;
  readonly why: "retained" | "left" | "not-ours";
}

/** Asks one system what it still has of a project. */
export interface LeftoverProbe {
  /** What a project has on this system, for the message when the system does not answer. */
  describe(project: ProbedProject): string;
  /**
   * Finds every object with the project's name, whatever its mark. Throws if the system could hide
   * one. `closing` is aborted once the caller no longer waits.
   */
  find(project: ProbedProject, closing: AbortSignal): Promise<readonly Leftover[]>;
}

/** Runs `work` on a connection of its own, which is closed at the end or when `closing` is aborted. */
export async function withConnection<C extends { close(): Promise<void> }, T>(
  connect: () => Promise<C>,
  closing: AbortSignal,
  work: (client: C) => Promise<T>,
): Promise<T> {
  const client = await connect();
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= client.close());
  const closeNow = () => void close();
  closing.addEventListener("abort", closeNow);
  try {
    closing.throwIfAborted();
    return await work(client);
  } finally {
    closing.removeEventListener("abort", closeNow);
    await close();
  }
}

/** Whether an object with this mark belongs to the project, or was left alone on purpose. */
export function leftOrNotOurs(mark: Mark | undefined, owner: Owner): "left" | "not-ours" {
  const ownership = ownershipOf(mark, owner);
  if (ownership === "ours" || ownership === "retained") return "left";
  if (owner.stack !== "" || mark?.["project"] !== owner.project) return "not-ours";
  // Without a stack, its objects cannot be told from those of another stack with the same name.
  const { platform = owner.platform } = mark;
  return platform === owner.platform ? "left" : "not-ours";
}
