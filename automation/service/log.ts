import { type LoggerOptions, stdTimeFunctions } from "pino";

/**
 * The service's log: a JSON object a line on stdout, with `level`, `time` and `msg` as the platform's
 * log agent reads them. No field is nested: Citadel's queries name fields as they stand.
 */
export function logOptions(level: string): LoggerOptions {
  return {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: stackOf, res: () => undefined, req: () => undefined },
  };
}

/** For the log only: no client gets it. */
function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : String(error);
}
