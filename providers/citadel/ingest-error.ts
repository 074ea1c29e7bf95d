import { InfraError } from "../../core/errors.ts";
import type { IngestReport } from "./port.ts";

/** A batch that was not taken, for the reason in its code; and how far it went before. */
export class IngestError extends InfraError {
  readonly report: IngestReport;
  /**
   * So many of the events, from the first on, are dealt with: accepted, or refused for good. To send
   * the others again doubles none, unless the answer was lost on its way (RDEV_UNREACHABLE,
   * RDEV_DEADLINE).
   */
  readonly done: number;

  constructor(cause: InfraError, report: IngestReport, done: number) {
    super(cause.code, cause.message, cause);
    this.report = report;
    this.done = done;
  }
}
