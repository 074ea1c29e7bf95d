import { markIn } from "../../core/ownership.ts";
import { databaseName } from "../../core/slug.ts";
import {
  type Leftover,
  type LeftoverProbe,
  leftOrNotOurs,
  withConnection,
} from "../leftover-probe.ts";
import { Postgres } from "./client.ts";

/** Finds role and database. Both are retained if the data was to be kept and the role is locked. */
export const leftovers: LeftoverProbe = {
  describe: ({ slug }) => `role and database ${databaseName(slug)}`,
  find: ({ slug, owner, retainData = false }, closing) =>
    withConnection(
      () => Postgres.connect(),
      closing,
      async (client) => {
        const name = databaseName(slug);
        const { role, database } = await client.find(name);
        const ofRole = leftOrNotOurs(markIn(role?.comment), owner);
        // The owner of a database can write its comment, so only an administrator's counts. A
        // database that the role itself owns belongs to whoever the role belongs to.
        const ofDatabase =
          database?.owner === name
            ? ofRole
            : leftOrNotOurs(
                database?.isAdministrators ? markIn(database.comment) : undefined,
                owner,
              );
        const isRetained = retainData && !role?.canLogIn;
        const whyOf = (why: "left" | "not-ours") =>
          why === "left" && isRetained ? "retained" : why;
        const found: Leftover[] = [];
        if (role) found.push({ what: `role ${name}`, why: whyOf(ofRole) });
        if (database) found.push({ what: `database ${name}`, why: whyOf(ofDatabase) });
        return found;
      },
    ),
};
