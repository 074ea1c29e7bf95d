import { ownershipText } from "../../../core/ownership.ts";
import { databaseName } from "../../../core/slug.ts";
import { Postgres } from "../../../providers/postgres/client.ts";
import { onConnection, type Look, type Sight } from "../look.ts";

/** Role and database; where the data was to be kept and the role is locked out, they are retained. */
export const postgres: Look = {
  system: "postgres",
  what: ({ slug }) => `role and database ${databaseName(slug)}`,
  at: ({ slug, retainData = false }, closing) =>
    onConnection(
      () => Postgres.connect(),
      closing,
      async (client) => {
        const name = databaseName(slug);
        const mark = ownershipText(slug);
        const { role, database } = await client.standing(name);
        const isRoleOurs = role?.comment === mark;
        // Made and not yet marked, it is ours when our role owns it.
        const isDatabaseOurs =
          database?.comment === mark ||
          (isRoleOurs && database?.comment === null && database.owner === name);
        const why = retainData && !role?.canLogIn ? "retained" : "left";
        const found: Sight[] = [];
        if (isRoleOurs) found.push({ what: `role ${name}`, why });
        if (isDatabaseOurs) found.push({ what: `database ${name}`, why });
        return found;
      },
    ),
};
