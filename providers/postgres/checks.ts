import { type Check, clock, failed, ok } from "../check.ts";
import { Postgres } from "./client.ts";

/** `server_version_num` of the oldest version with DROP DATABASE … WITH (FORCE). */
const OLDEST = 130_000;

async function examine(): Promise<Awaited<ReturnType<Postgres["examine"]>>> {
  const postgres = await Postgres.connect();
  try {
    return await postgres.examine();
  } finally {
    await postgres.close();
  }
}

function check(name: string, run: Check["run"]): Check {
  return { system: "PostgreSQL", name, needs: ["postgres"], run };
}

export const checks: readonly Check[] = [
  check("version", async () => {
    const { version, versionNumber } = await examine();
    if (versionNumber >= OLDEST) return ok(version);
    return failed(`is ${version}, which is too old`, "Upgrade the server to 13 or newer.");
  }),
  check("role", async () => {
    const { role, isSuperuser, mayCreateRoles, mayCreateDatabases } = await examine();
    if (isSuperuser)
      return ok(`${role} is a superuser; deploy/rights/projects.sql makes a lesser role`);
    const missing = [
      ...(mayCreateRoles ? [] : ["CREATEROLE"]),
      ...(mayCreateDatabases ? [] : ["CREATEDB"]),
    ].join(" and ");
    if (missing === "") return ok(`${role} may create roles and databases`);
    return failed(
      `${role} of POSTGRES_ADMIN_URL lacks ${missing}`,
      "Apply deploy/rights/projects.sql, and use its role.",
    );
  }),
  check("clock", async () => {
    const asked = Date.now();
    return clock((await examine()).time, asked);
  }),
];
