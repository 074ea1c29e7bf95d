import type { Subject, View } from "./view.ts";

/** One JSON object a line: each event, then the outcome. */
export function jsonView({ operation, stack }: Subject, write: (line: string) => void): View {
  return {
    event(event) {
      write(JSON.stringify(event));
    },
    note: (text) => console.error(text),
    end(outcome) {
      write(JSON.stringify({ event: "outcome", operation, stack, ...outcome }));
    },
  };
}
