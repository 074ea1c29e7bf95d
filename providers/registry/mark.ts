import { MANAGED_BY } from "../../core/ownership.ts";

/** The tag of the mark: a registry has no other place for one. Retention rules must keep it. */
export const MARK = MANAGED_BY;
