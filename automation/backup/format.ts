import { z } from "zod";
import { InfraError, problems } from "../../core/errors.ts";

// A backup is a tar archive, compressed by gzip and encrypted by age (age-encryption.org/v1). Its entries:
//
//   backup.json                    who made it: read first, so that a newer version is recognized
//   database/<table>/<n>.jsonl     rows as PostgreSQL's row_to_json prints them, a line each
//   stacks/<stack>.json            what `pulumi stack export` prints; secrets stay encrypted
//   settings/Pulumi.<stack>.yaml   the stacks' settings files
//   manifest.json                  every entry with its size and SHA-256: without it the archive is cut

export const HEADER = "backup.json";
export const MANIFEST = "manifest.json";

/** Raised by a change that older versions would misread. */
const FORMAT = 1;

const header = z.object({
  format: z.int().positive(),
  /** The version of rdev-infra that made it, for people. */
  version: z.string(),
  createdAt: z.iso.datetime(),
  /** The migrations of the database's tables, in order. */
  migrations: z.array(z.string()).min(1),
});

const manifest = z.object({
  entries: z.array(
    z.object({
      name: z.string(),
      bytes: z.int().nonnegative(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
  /** How many rows each table has. */
  rows: z.record(z.string(), z.int().nonnegative()),
});

export type Header = z.output<typeof header>;
export type Manifest = z.output<typeof manifest>;

/** An entry of the archive, which fits into memory. */
export interface Entry {
  readonly name: string;
  readonly content: Buffer;
}

/** Adds an entry to the archive that is being written. Resolves when there is room for the next one. */
export type Add = (name: string, content: string | Buffer) => Promise<void>;

export function newHeader(made: Omit<Header, "format">): Header {
  return { format: FORMAT, ...made };
}

/** Throws RDEV_BACKUP_VERSION if a newer version made the archive, and RDEV_BACKUP if it is malformed. */
export function parseHeader({ name, content }: Entry, knownMigrations: readonly string[]): Header {
  if (name !== HEADER) throw damaged(`it begins with ${name} instead of ${HEADER}`);
  const format = parsed(z.object({ format: header.shape.format }), HEADER, content).format;
  if (format > FORMAT) throw newer(`its format is ${format}, and this version reads ${FORMAT}`);
  const found = parsed(header, HEADER, content);
  const unknown = found.migrations.filter((each) => !knownMigrations.includes(each));
  if (unknown.length > 0) {
    throw newer(`${found.version} made it, and its database has ${unknown.join(", ")}`);
  }
  return found;
}

/** Throws RDEV_BACKUP. */
export function parseManifest(content: Buffer): Manifest {
  return parsed(manifest, MANIFEST, content);
}

export function damaged(what: string, options?: ErrorOptions): InfraError {
  return new InfraError(
    "RDEV_BACKUP",
    `The backup cannot be used: ${what}. Copy the file again, or take another backup.`,
    options,
  );
}

/** Names everything that is in the way of a restore. */
export function notEmpty(present: readonly string[]): InfraError {
  return problems(
    "RDEV_NOT_EMPTY",
    "Nothing was restored: a restore needs an empty platform, so that it overwrites nothing. Name another " +
      "database and backend, or remove what is there:",
    present,
  );
}

function newer(what: string): InfraError {
  return new InfraError(
    "RDEV_BACKUP_VERSION",
    `A newer version of rdev-infra made the backup (${what}). Restore it with that version, or a newer one.`,
  );
}

function parsed<T>(schema: z.ZodType<T>, name: string, content: Buffer): T {
  try {
    return schema.parse(JSON.parse(content.toString()));
  } catch (cause) {
    throw damaged(`${name} is malformed`, { cause });
  }
}
