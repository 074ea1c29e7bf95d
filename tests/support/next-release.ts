import { sql } from "kysely";
import { MIGRATIONS } from "../../automation/store/migrate.ts";

// Loaded by `node --import`, it makes a process one of the next release. Its migration adds no table, because a
// restore of that release would need to know it.
Object.assign(MIGRATIONS, {
  "998-next": {
    async up(db: Parameters<(typeof MIGRATIONS)[string]["up"]>[0]): Promise<void> {
      await sql`ALTER TABLE projects ADD next_text text`.execute(db);
    },
  },
});
