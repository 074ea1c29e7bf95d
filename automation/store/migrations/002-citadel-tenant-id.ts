import type { Kysely } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable("projects")
    .addColumn("citadel_tenant_id", "uuid", (column) => column.unique())
    .execute();
}
