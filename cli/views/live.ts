import type { Status } from "../../automation/engine/events.ts";
import type { OperationEvent } from "../../core/operation.ts";
import { outputTree, resourceText, verb } from "../text.ts";
import type { Row, Screen } from "./screen.ts";
import { OperationText, type Subject, type View } from "./view.ts";

/** For a terminal: what is done stays as lines, and what is under way moves below them. */
export function liveView(subject: Subject, screen: Screen): View {
  const text = new OperationText(subject);
  /** The resources in progress, by URN. */
  const active = new Map<string, Row & { readonly wait?: string }>();
  const begin = Date.now();
  let phase = "starting";

  function draw() {
    const rows = [...active.values()].map(({ text: doing, wait, since }) => ({
      text: wait === undefined ? doing : `${doing}: ${wait}`,
      since,
    }));
    const whole = { text: `${subject.operation} of ${subject.stack}: ${phase}`, since: begin };
    screen.rows(rows.length > 0 ? rows : [whole]);
  }

  function track(event: OperationEvent) {
    if (event.event === "diagnostic" || event.event === "summary" || event.component) return;
    const doing = verb(event.op, "now");
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
      const row = urn === undefined ? undefined : active.get(urn);
      if (urn === undefined) phase = message;
      else if (row) active.set(urn, { ...row, wait: message });
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
