import type { Remaining } from "../automation/operations/operation.ts";

/** How the terminal says why something remains. */
export const WHY_LEFT: Readonly<Record<Remaining["why"], string>> = {
  retained: "kept on",
  left: "still on",
  unreachable: "not known of",
  "not-ours": "left alone, as it does not carry this stack's mark, on",
};
