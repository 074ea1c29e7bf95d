import type { Command } from "commander";
import { connection } from "../../core/connections.ts";
import { EXIT } from "../exit-codes.ts";

/** In ms: what runs may end within it; an orchestrator that kills earlier loses nothing either. */
const DEADLINE = 25_000;

const SETTINGS = `
RDEV_INFRA_PLATFORM=staging names the platform; docs/reference.md lists all variables. It speaks plain HTTP:
an ingress in front of it adds TLS. Without DATABASE_URL it brings a PostgreSQL of its own.`;

export function addService(program: Command): void {
  program
    .command("service")
    .description("serve the API, and run what it is asked for, until Ctrl-C")
    .addHelpText("after", SETTINGS)
    .action(serve);
}

async function serve(): Promise<void> {
  const settings = connection("service");
  const stopping = new AbortController();
  const stop = () => {
    if (stopping.signal.aborted) process.exit(EXIT.interrupted);
    stopping.abort();
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);

  const { pino } = await import("pino");
  const { logOptions } = await import("../../automation/service/log.ts");
  const { runService } = await import("../../automation/service/run.ts");
  const { openDatabase } = await import("../database.ts");
  const logger = pino(logOptions("info"));
  const database = await openDatabase("start");
  try {
    const service = await runService({ ...settings, database, logger });
    logger.info({ component: "service" }, `serves ${settings.platform} at ${service.url}`);
    if ((await service.keys.list()).length === 0) {
      const command = "npx rdev-infra keys create --name rdev --role admin";
      logger.info({ component: "service" }, `no key yet; this makes the first one: ${command}`);
    }
    if (!stopping.signal.aborted) {
      await new Promise((resolve) => stopping.signal.addEventListener("abort", resolve));
    }
    logger.info({ component: "service" }, "stops when what runs has ended; Ctrl-C again: at once");
    await service.stop({ deadline: DEADLINE });
  } finally {
    await database.stop();
  }
}
