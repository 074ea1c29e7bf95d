import type { PlatformSettings } from "../../core/settings.ts";
import type { Remaining } from "../operations/operation.ts";

/** The project that is looked for. */
export interface Place {
  readonly slug: string;
  readonly settings: Pick<PlatformSettings, "domain" | "gitOrganization" | "citadelOrganization">;
  /** It is no mistake that the database is still there, its role locked out. Default: false. */
  readonly retainData?: boolean;
  /** It is no mistake that the repository is still there, archived. Default: false. */
  readonly retainRepository?: boolean;
}

/** Something of the project's that its server showed. */
export type Sight = Pick<Remaining, "what"> & { readonly why: "retained" | "left" };

/** How one system is asked for what it has of a project. */
export interface Look {
  /** As `gitea`. */
  readonly system: string;
  /** What a project has there, as a person would look for it: `repository projects/my-app`. */
  what(place: Place): string;
  /**
   * What carries the project's mark. Objects of strangers are left out, whatever their name.
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

/** `left`, in as many words as a look needs. */
export function left(...whats: string[]): Sight[] {
  return whats.map((what) => ({ what, why: "left" }));
}
