import { Command } from "commander";
import { ownVersion } from "../automation/engine/versions.ts";
import { addAdopt } from "./commands/adopt.ts";
import { addAudit } from "./commands/audit.ts";
import { addAgent, addCitadel } from "./commands/citadel.ts";
import { addBackup, addRestore } from "./commands/backup.ts";
import { addDoctor, addInstall } from "./commands/doctor.ts";
import { addDrift } from "./commands/drift.ts";
import { addDestroy } from "./commands/destroy.ts";
import { addKeys } from "./commands/keys.ts";
import { addLogs } from "./commands/logs.ts";
import { addNotifications } from "./commands/notifications.ts";
import { addOperations } from "./commands/operations.ts";
import { addPreview } from "./commands/preview.ts";
import { addProjects, addSlug } from "./commands/projects.ts";
import { addApproval, addReport } from "./commands/pull-requests.ts";
import { addRefresh } from "./commands/refresh.ts";
import { addRegistry } from "./commands/registry.ts";
import { addRollout } from "./commands/rollouts.ts";
import { addSecrets } from "./commands/secrets.ts";
import { addService, addStore } from "./commands/service.ts";
import { addTemplate } from "./commands/templates.ts";
import { addUp } from "./commands/up.ts";
import { EXIT_HELP } from "./exit-codes.ts";

/** The command `rdev-infra`. Throws CommanderError where a command line is wrong or asks for help. */
export function rdevInfra(): Command {
  const program = new Command("rdev-infra")
    .description(
      "Manages the infrastructure of rdev. A stack is a platform (staging) or a project on it " +
        "(staging.my-app).",
    )
    .version(ownVersion(), "--version", "print the version")
    .addHelpText("after", EXIT_HELP)
    .showHelpAfterError("(run rdev-infra --help for more)")
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();

  const operations = [addUp, addPreview, addApproval, addReport, addAdopt, addDestroy, addRefresh];
  const service = [
    addService,
    addKeys,
    addProjects,
    addTemplate,
    addDrift,
    addOperations,
    addRollout,
    addNotifications,
    addBackup,
    addRestore,
  ];
  const systems = [
    addDoctor,
    addInstall,
    addLogs,
    addAudit,
    addCitadel,
    addAgent,
    addRegistry,
    addSecrets,
    addStore,
    addSlug,
  ];
  for (const add of [...operations, ...service, ...systems]) add(program);
  return program;
}
