import { z } from "zod";
import { SSL_MODES } from "../../core/address.ts";
import { InfraError } from "../../core/errors.ts";
import {
  markIn,
  markText,
  NO_OWNER,
  type Owner,
  ownerSchema,
  type Ownership,
  ownershipOf,
  retainedMarkText,
} from "../../core/ownership.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { Postgres, type RoleAndDatabase } from "./client.ts";
import { notice } from "../notice.ts";

const definition = define({
  module: "postgres/database",
  type: "postgres:Database",
  noun: "PostgreSQL database",
  inputs: z.object({
    /** The name of role and database. PostgreSQL truncates a name after 63 bytes. */
    name: z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, "is not a name of a-z, 0-9 and _"),
    owner: ownerSchema,
    password: z
      .string()
      .min(12, "is shorter than 12 characters")
      .regex(/^[\x21-\x7e]+$/, "contains a character that is not printable ASCII"),
    /** The role's maximum number of sessions. */
    connectionLimit: z.int().min(1).default(20),
    /** Delete keeps database and role, and locks the role. */
    retain: z.boolean().default(false),
  }),
  attributes: z.object({
    host: z.string(),
    port: z.int(),
    /** The parameter in the administrator's URL. Without one "", because undefined means unknown. */
    sslmode: z.enum(["", ...SSL_MODES]),
    database: z.string(),
    username: z.string(),
  }),
  replaceOn: ["name"],
  secrets: ["password"],

  connect: () => Postgres.connect(),
  close: (postgres) => postgres.close(),

  async find(postgres, { name, owner }) {
    const object = await postgres.find(name);
    if (!object.role && !object.database) return undefined;
    return { id: name, ownership: ownership(object, name, owner), object };
  },

  async create(postgres, { name, owner }) {
    await postgres.createRole(name, markText(owner));
    return name;
  },

  async apply(postgres, _id, { name, owner, password, connectionLimit }, last, found) {
    const { role, database } = found ?? (await postgres.find(name));
    // A create that failed half way stored no attributes, and may not have created the database.
    const wasCreated = Boolean(last?.database);
    if (!role || (wasCreated && !database)) {
      throw new InfraError("RDEV_GONE", `PostgreSQL has no ${role ? "database" : "role"} ${name}.`);
    }
    const comment = markText(owner);
    // The role's mark decides, so it is written first. The next run continues after a failure.
    await postgres.markRole(name, comment);
    if (!database) await postgres.createDatabase(name);
    await postgres.setDatabase(name, comment, database?.owner);
    warnAboutOpen(await postgres.closeOtherDatabases(name));
    await postgres.setRole(name, { password, connectionLimit });
    return attributes(postgres, name);
  },

  async read(postgres, _id, { name, owner }) {
    const found = await postgres.find(name);
    const { role, database } = found;
    if (!role || ownership(found, name, owner) === "others") return undefined;
    const isMarked = [role, ...(database ? [database] : [])].every(
      ({ comment }) => ownershipOf(markIn(comment), owner) === "ours",
    );
    return {
      ...attributes(postgres, name),
      // After a delete that failed half way, the next run deletes the role or creates the database.
      ...(!database && { database: "" }),
      // A role that cannot log in, or has no database, is reported as drift of this limit.
      connectionLimit: database && role.canLogIn ? role.connectionLimit : 0,
      // A missing mark is drift, which the next `up` repairs.
      owner: isMarked ? owner : NO_OWNER,
    };
  },

  async delete(postgres, _id, { name, owner, retain }) {
    if (retain) await postgres.lockOut(name, retainedMarkText(owner));
    else await postgres.drop(name);
  },
});

/**
 * The role's mark decides, because only administrators can write it. A database's owner can write its
 * comment, so that counts only if the owner is an administrator. The role itself owns the database if
 * a create was interrupted or an earlier version made it.
 */
function ownership({ role, database }: RoleAndDatabase, name: string, owner: Owner): Ownership {
  const ofRole = ownershipOf(markIn(role?.comment), owner);
  if (role?.comment && ofRole === "unmarked") return "others";
  if (!database || database.owner === name) return ofRole;
  if (!database.isAdministrators) return "others";
  const ofDatabase = ownershipOf(markIn(database.comment), owner);
  if (!role) return ofDatabase;
  // A database that was made by hand gives our role no right of its own.
  const isForRole = ofDatabase === "unmarked" ? database.letsRoleIn : ofDatabase !== "others";
  return isForRole ? ofRole : "others";
}

const warned = new Set<string>();

function warnAboutOpen(databases: readonly string[]): void {
  const added = databases.filter((database) => !warned.has(database));
  if (added.length === 0) return;
  for (const database of added) warned.add(database);
  notice(
    `Every role of this PostgreSQL server, including every project's, may connect to ${added.join(", ")}. ` +
      "rdev-infra does not change databases of others. As the administrator, run REVOKE CONNECT ON " +
      "DATABASE … FROM PUBLIC, after a GRANT to the roles that need it.",
  );
}

function attributes({ host, port, sslmode }: Postgres, name: string) {
  return { host, port, sslmode, database: name, username: name };
}

export const provider = dynamicProvider(definition);

/**
 * A PostgreSQL role and its database, with the same name. The administrator owns the database. The
 * role may create anything in it and connect to no other. Delete ends its sessions and drops both.
 * With `retain` it only locks the role, and a later create adopts both again.
 */
export class Database extends dynamicResource(definition) {}
