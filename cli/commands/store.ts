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
          "The service works as the owner of its tables, and could take down what protects its " +
            "audit log. Better: a role of its own in DATABASE_URL, and the owner in DATABASE_OWNER_URL.",
        );
      }
    });
}
