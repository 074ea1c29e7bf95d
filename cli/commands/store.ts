import type { Command } from "commander";
import { connection } from "../../core/connections.ts";

export function addStore(program: Command): void {
  const store = program.command("store").description("rdev-infra's own database");
  store
    .command("migrate")
    .description("bring it to what this version needs, as the role of DATABASE_OWNER_URL")
    .action(async () => {
      const { url, ownerUrl } = connection("database");
      const { migrate } = await import("../../automation/store/migrate.ts");
      const serviceRole = decodeURIComponent(new URL(url).username);
      const done = await migrate({ ownerUrl, serviceRole });
      for (const name of done) console.log(`migrated: ${name}`);
      if (done.length === 0) console.log("Nothing to migrate.");
      if (url === ownerUrl) {
        console.error(
          "DATABASE_URL names the owner of the tables, as which the service does not start: it could " +
            "take down what protects the audit log. Name a role of its own there, and the owner in " +
            "DATABASE_OWNER_URL; then run this again.",
        );
      }
      const { withStore } = await import("../with-store.ts");
      const { isOpenToAll, OPEN_TO_ALL } = await import("../../automation/store/require-schema.ts");
      if (await withStore(isOpenToAll)) console.error(OPEN_TO_ALL);
    });
}
