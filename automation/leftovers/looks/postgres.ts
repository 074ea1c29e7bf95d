import { markIn } from "../../../core/ownership.ts";
import { databaseName } from "../../../core/slug.ts";
import { Postgres } from "../../../providers/postgres/client.ts";
import { onConnection, type Look, type Sight, standing } from "../look.ts";

/** Role and database; where the data was to be kept and the role is locked out, they are retained. */
export const postgres: Look = {
  system: "postgres",
  what: ({ slug }) => `role and database ${databaseName(slug)}`,
  at: ({ slug, owner, retainData = false }, closing) =>
    onConnection(
      () => Postgres.connect(),
      closing,
      async (client) => {
        const name = databaseName(slug);
        const { role, database } = await client.standing(name);
        const ofRole = standing(markIn(role?.comment), owner);
        // A comment is its owner's to write. What the role itself owns is the role's.
        const ofDatabase =
          database?.owner === name
            ? ofRole
            : standing(database?.isAdministrators ? markIn(database.comment) : undefined, owner);
        const isRetained = retainData && !role?.canLogIn;
        const whyOf = (why: "left" | "not-ours") =>
          why === "left" && isRetained ? "retained" : why;
        const found: Sight[] = [];
        if (role) found.push({ what: `role ${name}`, why: whyOf(ofRole) });
        if (database) found.push({ what: `database ${name}`, why: whyOf(ofDatabase) });
        return found;
      },
    ),
};
