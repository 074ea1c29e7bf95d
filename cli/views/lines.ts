import { closingLines, lineFor, type Subject, type View } from "./view.ts";

/** Plain lines, for a log. */
export function linesView(subject: Subject, write: (line: string) => void): View {
  return {
    event(event) {
      const line = lineFor(event, subject);
      if (line !== undefined) write(line);
    },
    note: (text) => console.error(text),
    end(outcome) {
      for (const line of closingLines(outcome, subject)) write(line);
    },
  };
}
