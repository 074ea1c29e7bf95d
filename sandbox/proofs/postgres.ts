import pg from "pg";
import { databaseName } from "../../core/slug.ts";
import { applicationEnvironment } from "./kubernetes.ts";
import { expect, refusal, type Sight, type Stage } from "./stage.ts";

/** Logs in as the project, writes and reads, and is refused the neighbour's database. */
export async function provePostgres(stage: Stage, neighbour: string): Promise<Sight> {
  const url = (await applicationEnvironment(stage))["DATABASE_URL"] ?? "";
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("CREATE TABLE proof (said text)");
    await client.query("INSERT INTO proof VALUES ('hello')");
    const { rows } = await client.query<{ said: string; me: string }>(
      "SELECT said, current_user AS me FROM proof",
    );
    expect(rows[0]?.said === "hello", "what was written is read");
    await client.query("DROP TABLE proof");
    const elsewhere = new URL(url);
    elsewhere.pathname = `/${databaseName(neighbour)}`;
    const other = new pg.Client({ connectionString: elsewhere.href });
    const refused = await refusal(other.connect(), "the neighbour's database");
    return [`as role ${rows[0].me}: wrote and read a row`, `the neighbour's database: ${refused}`];
  } finally {
    await client.end();
  }
}
