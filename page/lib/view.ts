import type { ComponentType } from "preact";
import type { Caller } from "./session.ts";

/** The properties of every view. */
export interface ViewProps {
  /** The named parts of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly caller: Caller;
}

export type View = ComponentType<ViewProps>;
