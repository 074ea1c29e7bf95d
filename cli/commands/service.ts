import type { Command } from "commander";
import { connection } from "../../core/connections.ts";
import { openDatabase, withStore } from "../database.ts";
import { EXIT } from "../exit-codes.ts";

/** In ms. An operation may end within it; one that is killed earlier is continued at the next start. */
const SHUTDOWN_GRACE_MS = 25_000;

const SETTINGS = `
RDEV_INFRA_PLATFORM=staging names the platform; docs/reference.md lists all variables. The service speaks
plain HTTP: put an ingress in front of it for TLS. Without DATABASE_URL it starts its own PostgreSQL.`;

export function addService(program: Command): void {
  program
    .command("service")
    .description("serve the API and run its operations until Ctrl-C")
    .addHelpText("after", SETTINGS)
    .action(serve);
}

export function addStore(program: Command): void {
  program
    .command("store")
    .description("the service's database")
    .command("migrate")
    .description("update the tables to this version, as the role of DATABASE_OWNER_URL")
    .action(migrateStore);
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
  const logger = pino(logOptions("info"));
  const database = await openDatabase("start");
  try {
    const service = await runService({ ...settings, database, logger });
    logger.info({ component: "service" }, `serves ${settings.platform} at ${service.url}`);
    if ((await service.keys.list()).length === 0) {
      const command = "npx rdev-infra keys create --name rdev --role admin";
      logger.info({ component: "service" }, `no key exists; create the first one: ${command}`);
    }
    if (!stopping.signal.aborted) {
      await new Promise((resolve) => stopping.signal.addEventListener("abort", resolve));
    }
    logger.info(
      { component: "service" },
      "stopping after the running operations; press Ctrl-C again to stop at once",
    );
    await service.stop({ deadline: SHUTDOWN_GRACE_MS });
  } finally {
    await database.stop();
  }
}

async function migrateStore(): Promise<void> {
  const { url, ownerUrl } = connection("database");
  const { migrate } = await import("../../automation/store/migrate.ts");
  const serviceRole = decodeURIComponent(new URL(url).username);
  const done = await migrate({ ownerUrl, serviceRole });
  for (const name of done) console.log(`migrated: ${name}`);
  if (done.length === 0) console.log("Nothing to migrate.");
  if (url === ownerUrl) {
    console.error(
      "DATABASE_URL names the owner of the tables. The service refuses to start as that role, because " +
        "the owner can remove the protection of the audit log. Name another role in DATABASE_URL and " +
        "the owner in DATABASE_OWNER_URL, then run this again.",
    );
  }
  const { isOpenToAll, OPEN_TO_ALL } = await import("../../automation/store/require-schema.ts");
  if (await withStore(isOpenToAll)) console.error(OPEN_TO_ALL);
}
