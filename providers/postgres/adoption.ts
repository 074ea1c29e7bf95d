import { difference } from "../../core/adoption.ts";
import { markIn, ownershipOf, retainedMarkText } from "../../core/ownership.ts";
import { databaseName } from "../../core/slug.ts";
import type { AdoptedProject, Adoption, FoundObject } from "../adoption.ts";
import { withConnection } from "../leftover-probe.ts";
import { Postgres, type RoleAndDatabase } from "./client.ts";

/** Keeps role and database with all data. The `up` gives the role a new password. */
export const adoption: Adoption = {
  find: (project, closing) =>
    withConnection(
      () => Postgres.connect(),
      closing,
      async (client) => {
        const name = databaseName(project.slug);
        const found = await client.find(name);
        return [
          ...(await roleIn(client, name, found, project)),
          ...(await databaseIn(client, name, found, project)),
        ];
      },
    ),

  mark: ({ slug, owner }, closing) =>
    withConnection(
      () => Postgres.connect(),
      closing,
      async (client) => {
        const name = databaseName(slug);
        const { role, database } = await client.find(name);
        const mark = retainedMarkText(owner);
        const isUnmarked = (comment: string | null) =>
          ownershipOf(markIn(comment), owner) === "unmarked";
        // A database that its role owns belongs to whoever the role belongs to.
        if (database?.isAdministrators && isUnmarked(database.comment)) {
          await client.markDatabase(name, mark);
        }
        if (role && isUnmarked(role.comment)) await client.markRole(name, mark);
      },
    ),
};

async function roleIn(
  client: Postgres,
  name: string,
  { role }: RoleAndDatabase,
  { owner, sizes }: AdoptedProject,
): Promise<FoundObject[]> {
  if (!role) return [];
  const mark = markIn(role.comment);
  const powers = await client.powersOf(name);
  const comment = mark ? [] : difference("comment", role.comment ?? "", "the mark");
  return [
    {
      what: `role ${name}`,
      whose: ownershipOf(mark, owner),
      changes: [
        "a new password",
        ...difference("connection limit", role.connectionLimit, sizes.databaseConnections),
        ...comment,
      ],
      problems: powers.map(
        ({ power, remedy }) => `${power}, which no project may have. Run: ${remedy}`,
      ),
    },
  ];
}

async function databaseIn(
  client: Postgres,
  name: string,
  { role, database }: RoleAndDatabase,
  { owner }: AdoptedProject,
): Promise<FoundObject[]> {
  if (!database) return [];
  const isRoles = role !== undefined && database.owner === name;
  const mark = markIn(isRoles ? role.comment : database.comment);
  const isOthers = !isRoles && !database.isAdministrators;
  const others = await client.othersIn(name);
  return [
    {
      what: `database ${name}`,
      whose: ownershipOf(mark, owner),
      changes: [
        ...(isRoles ? ["the administrator becomes its owner"] : []),
        "only its role may connect",
        ...(mark ? [] : difference("comment", database.comment ?? "", "the mark")),
        ...(others.length > 0
          ? [`what other roles own in it stays theirs: ${others.join(", ")}`]
          : []),
      ],
      problems: [
        ...(role ? [] : [`has no role of its name. Run: CREATE ROLE "${name}" LOGIN`]),
        ...(isOthers
          ? [
              `belongs to the role ${database.owner}. ` +
                `Run: ALTER DATABASE "${name}" OWNER TO "${name}"`,
            ]
          : []),
      ],
    },
  ];
}
