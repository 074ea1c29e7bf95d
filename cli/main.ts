import { Command, CommanderError } from "commander";
import { connectionSecrets } from "../core/connections.ts";
import { InfraError, redact, userMessage } from "../core/errors.ts";
import { addAgent } from "./commands/agent.ts";
import { addApproval } from "./commands/approval.ts";
import { addAudit } from "./commands/audit.ts";
import { addCitadel } from "./commands/citadel.ts";
import { addDestroy } from "./commands/destroy.ts";
import { addKeys } from "./commands/keys.ts";
import { addLogs } from "./commands/logs.ts";
import { addOperations } from "./commands/operations.ts";
import { addPreview } from "./commands/preview.ts";
import { addProjects } from "./commands/projects.ts";
import { addRefresh } from "./commands/refresh.ts";
import { addReport } from "./commands/report.ts";
import { addRegistry } from "./commands/registry.ts";
import { addService } from "./commands/service.ts";
import { addSlug } from "./commands/slug.ts";
import { addStore } from "./commands/store.ts";
import { addUp } from "./commands/up.ts";
import { EXIT, EXIT_HELP, exitCode } from "./exit-codes.ts";

const program = new Command("rdev-infra")
  .description(
    "The infrastructure of rdev. A stack is a platform (staging) or a project on it " +
      "(staging.my-app).",
  )
  .addHelpText("after", EXIT_HELP)
  .showHelpAfterError("(rdev-infra --help says more)")
  .configureHelp({ showGlobalOptions: true })
  .exitOverride();

const operations = [addUp, addPreview, addApproval, addReport, addDestroy, addRefresh];
const service = [addService, addKeys, addProjects, addOperations];
const systems = [addLogs, addAudit, addCitadel, addAgent, addRegistry, addStore, addSlug];
for (const add of [...operations, ...service, ...systems]) add(program);

// Who reads a pipe may leave early (| head): no reason to fall in the middle of an operation.
process.stdout.on("error", () => undefined);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage; // its text is out already
  } else {
    console.error(redact(userMessage(error), connectionSecrets()));
    const errors = error instanceof InfraError ? [{ code: error.code, message: "" }] : [];
    process.exitCode = exitCode({ result: "failed", errors });
  }
}
