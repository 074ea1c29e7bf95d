import type { Status } from "../../automation/engine/events.ts";
import type { OperationEvent } from "../../core/operation.ts";
import { outputTree, resourceText, verb } from "../text.ts";
import type { Row, Screen } from "./screen.ts";
import { OperationText, type Subject, type View } from "./view.ts";

/** For a terminal: what is done stays as lines, and what is under way moves below them. */
export function liveView(subject: Subject, screen: Screen): View {
  const text = new OperationText(subject);
  const active = new Map<string, Row>();
  const waits = new Map<string, string>();
  const begin = Date.now();
  let phase = "starting";

  function draw() {
    const rows = [...active].map(([urn, row]) => {
      const why = waits.get(urn);
      return why === undefined ? row : { ...row, text: `${row.text}: ${why}` };
    });
    const whole = { text: `${subject.operation} of ${subject.stack}: ${phase}`, since: begin };
    screen.rows(rows.length > 0 ? rows : [whole]);
  }

  function track(event: OperationEvent) {
    if (event.event === "diagnostic" || event.event === "summary" || event.component) return;
    const doing = verb(event.op, "now");
    waits.delete(event.urn);
    if (event.event !== "resourceStarted") active.delete(event.urn);
    else if (doing !== undefined) {
      active.set(event.urn, { text: `${doing} ${resourceText(event)}`, since: Date.now() });
    }
  }

  draw();
  return {
    event(event) {
      track(event);
      for (const line of text.lines(event)) screen.print(line);
      draw();
    },
    step: (step) => text.differences.add(step),
    status({ urn, message }: Status) {
      if (urn === undefined) phase = message;
      else if (active.has(urn)) waits.set(urn, message);
      draw();
    },
    note: (note) => screen.print(note),
    async end(outcome) {
      for (const line of text.closing(outcome, outputTree)) screen.print(line);
      await screen.end();
    },
    close: () => screen.end(),
  };
}
