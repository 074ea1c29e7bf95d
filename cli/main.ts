import "../automation/engine/quirks/lazy-modules.ts"; // before the SDK
import { CommanderError } from "commander";
import { hasUnfinishedCalls } from "../automation/engine/quirks/lost-engine.ts";
import { connectionSecrets } from "../core/connections.ts";
import { InfraError, redact, userMessage } from "../core/errors.ts";
import { EXIT, exitCode } from "./exit-codes.ts";
import { rdevInfra } from "./program.ts";

// The reader of a pipe may leave early (| head). An operation must not fail in the middle of it.
process.stdout.on("error", () => undefined);

try {
  await rdevInfra().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage; // commander has printed it
  } else {
    console.error(redact(userMessage(error), connectionSecrets()));
    const errors = error instanceof InfraError ? [{ code: error.code, message: "" }] : [];
    process.exitCode = exitCode({ result: "failed", errors });
  }
}

// Otherwise a killed operation would go on after its end was reported.
if (hasUnfinishedCalls()) process.exit();
