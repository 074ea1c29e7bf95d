import type { PlatformSettings } from "../../core/settings.ts";
import { type Mark, type Owner, ownershipOf } from "../../core/ownership.ts";
import type { Remaining } from "../operations/operation.ts";

/** The project that is looked for. */
export interface Place {
  readonly slug: string;
  /** What its stack marked its objects with; without a stack, its platform and slug alone. */
  readonly owner: Owner;
  readonly settings: Pick<
    PlatformSettings,
    "domain" | "gitOrganization" | "citadelOrganization" | "registry"
  >;
  /** It is no mistake that the database is still there, its role locked out. Default: false. */
  readonly retainData?: boolean;
  /** It is no mistake that the repository is still there, archived. Default: false. */
  readonly retainRepository?: boolean;
}

/** Something of the project's that its server showed. */
export type Sight = Pick<Remaining, "what"> & { readonly why: "retained" | "left" | "not-ours" };

/** How one system is asked for what it has of a project. */
export interface Look {
  /** As `gitea`. */
  readonly system: string;
  /** What a project has there, as a person would look for it: `repository projects/my-app`. */
  what(place: Place): string;
  /**
   * What has the project's name there, with or without its mark.
   * `closing` is aborted when nobody waits for the answer any more.
   */
  at(place: Place, closing: AbortSignal): Promise<readonly Sight[]>;
}

/** For systems that are asked on a connection of their own: ended when `closing` is aborted too. */
export async function onConnection<C extends { close(): Promise<void> }, T>(
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

/** Whether an object with this mark is still the project's, or was left alone. */
export function standing(mark: Mark | undefined, owner: Owner): "left" | "not-ours" {
  const ownership = ownershipOf(mark, owner);
  if (ownership === "ours" || ownership === "retained") return "left";
  if (owner.stack !== "" || mark?.["project"] !== owner.project) return "not-ours";
  // Without a stack nothing tells its objects from those of another stack of the same name.
  const { platform = owner.platform } = mark;
  return platform === owner.platform ? "left" : "not-ours";
}
