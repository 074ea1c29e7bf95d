import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { SSL_MODES, type SslMode } from "../../core/address.ts";
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
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Postgres, type Standing } from "./client.ts";

const definition = define({
  module: "postgres/database",
  type: "postgres:Database",
  noun: "PostgreSQL database",
  inputs: z.object({
    /** Of the role and of its database. PostgreSQL cuts off what is longer than 63 bytes. */
    name: z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, "is no name of a-z, 0-9 and _"),
    owner: ownerSchema,
    password: z
      .string()
      .min(12, "is shorter than 12 characters")
      .regex(/^[\x21-\x7e]+$/, "holds a character that is not printable ASCII"),
    /** Sessions that the role may have open at once. */
    connectionLimit: z.int().min(1).default(20),
    /** On delete: keep database and role, and lock the role out. */
    retain: z.boolean().default(false),
  }),
  attributes: z.object({
    host: z.string(),
    port: z.int(),
    /** As the administrator's URL asks for it, or "": a preview takes what is missing for unknown. */
    sslmode: z.enum(["", ...SSL_MODES]),
    database: z.string(),
    username: z.string(),
  }),
  replaceOn: ["name"],
  secrets: ["password"],

  connect: () => Postgres.connect(),
  close: (postgres) => postgres.close(),

  async find(postgres, { name, owner }) {
    const standing = await postgres.standing(name);
    if (!standing.role && !standing.database) return undefined;
    return { id: name, ownership: ownership(standing, name, owner) };
  },

  async create(postgres, { name, owner }) {
    await postgres.createRole(name, markText(owner));
    return name;
  },

  async apply(postgres, _id, { name, owner, password, connectionLimit }, last) {
    const { role, database } = await postgres.standing(name);
    // A create that failed half way left no attributes; its database is still to be made.
    const isMade = Boolean(last?.database);
    if (!role || (isMade && !database)) {
      throw new InfraError("RDEV_GONE", `PostgreSQL has no ${role ? "database" : "role"} ${name}.`);
    }
    const comment = markText(owner);
    // Its mark decides, so it comes first: what fails after it is taken up by the next run.
    await postgres.markRole(name, comment);
    if (!database) await postgres.createDatabase(name);
    await postgres.setDatabase(name, comment, database?.owner);
    warnOfOpen(await postgres.keepAtHome(name));
    await postgres.setRole(name, { password, connectionLimit });
    return attributes(postgres, name);
  },

  async read(postgres, _id, { name, owner }) {
    const standing = await postgres.standing(name);
    const { role, database } = standing;
    if (!role || ownership(standing, name, owner) === "others") return undefined;
    const isMarked = [role, ...(database ? [database] : [])].every(
      ({ comment }) => ownershipOf(markIn(comment), owner) === "ours",
    );
    return {
      ...attributes(postgres, name),
      // A delete that failed half way: the role is still to be deleted, or to get a database again.
      ...(!database && { database: "" }),
      // Whoever cannot log in, or has nothing to log in to, has room for no session.
      connectionLimit: database && role.canLogIn ? role.connectionLimit : 0,
      // Without its mark it is nobody's, until the next `up` puts the mark back.
      owner: isMarked ? owner : NO_OWNER,
    };
  },

  async delete(postgres, _id, { name, owner, retain }) {
    if (retain) await postgres.lockOut(name, retainedMarkText(owner));
    else await postgres.drop(name);
  },
});

/**
 * The role's mark decides: only administrators can write it. The comment of a database is its
 * owner's, so it counts where that is an administrator. A database that the role itself owns is one
 * whose making was cut short, or of a version before.
 */
function ownership({ role, database }: Standing, name: string, owner: Owner): Ownership {
  const ofRole = ownershipOf(markIn(role?.comment), owner);
  if (role?.comment && ofRole === "unmarked") return "others";
  if (!database || database.owner === name) return ofRole;
  if (!database.isAdministrators) return "others";
  const ofDatabase = ownershipOf(markIn(database.comment), owner);
  if (!role) return ofDatabase;
  // Made by hand it lets our role in by no right of its own.
  const isHandedOver = ofDatabase === "unmarked" ? database.letsRoleIn : ofDatabase !== "others";
  return isHandedOver ? ofRole : "others";
}

const warned = new Set<string>();

function warnOfOpen(databases: readonly string[]): void {
  const news = databases.filter((database) => !warned.has(database));
  if (news.length === 0) return;
  for (const database of news) warned.add(database);
  console.error(
    `Every role of this PostgreSQL server, so every project's, may connect to ${news.join(", ")}. ` +
      "rdev-infra does not change what is not its own: as the administrator run " +
      "REVOKE CONNECT ON DATABASE … FROM PUBLIC, after a GRANT to those who need it.",
  );
}

function attributes({ host, port, sslmode }: Postgres, name: string) {
  return { host, port, sslmode, database: name, username: name };
}

export const provider = dynamicProvider(definition);

/**
 * A PostgreSQL role and a database for it, both of one name. The administrator owns the database; the
 * role may make what it wants in it and connect to no other. Delete ends its sessions and drops both;
 * with `retain` the data stays, the role can no longer log in, and a later create takes both up again.
 */
export class Database extends DynamicResource<typeof definition> {
  declare readonly host: pulumi.Output<string>;
  declare readonly port: pulumi.Output<number>;
  declare readonly sslmode: pulumi.Output<SslMode | "">;
  declare readonly database: pulumi.Output<string>;
  declare readonly username: pulumi.Output<string>;

  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
