import { z } from "zod";

/** Runs a statement and returns its rows. */
type Query = (statement: string) => Promise<readonly unknown[]>;

const column = z.object({
  table: z.string(),
  name: z.string(),
  type: z.string(),
  isNullable: z.boolean(),
  hasDefault: z.boolean(),
});
/** A constraint, a unique index or a trigger. It can refuse a row, or be named by ON CONFLICT. */
const rule = z.object({
  table: z.string(),
  definition: z.string(),
  kind: z.enum(["unique", "check", "reference", "trigger"]),
  columns: z.array(z.string()),
});

/** The tables of a database, with everything in them that a statement can depend on. */
interface Catalog {
  readonly columns: readonly z.output<typeof column>[];
  readonly rules: readonly z.output<typeof rule>[];
}

const COLUMNS = `
  SELECT relname AS table, attname AS name, format_type(atttypid, atttypmod) AS type,
    NOT attnotnull AS "isNullable", atthasdef OR attidentity <> '' AS "hasDefault"
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
  WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
    AND relname NOT LIKE 'kysely%'
  ORDER BY 1, 2`;

const NAMES_OF = (table: string, numbers: string) => `
  ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = ${table} AND attnum = ANY (${numbers}))`;

const RULES = `
  SELECT indrelid::regclass::text AS table, 'unique' AS kind,
    regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \\S+ ', 'INDEX ') AS definition,
    ${NAMES_OF("indrelid", "indkey")} AS columns
  FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
  WHERE indisunique AND relnamespace = 'public'::regnamespace AND relname NOT LIKE 'kysely%'
  UNION ALL
  SELECT conrelid::regclass::text, CASE contype WHEN 'c' THEN 'check' ELSE 'reference' END,
    pg_get_constraintdef(oid), ${NAMES_OF("conrelid", "conkey")}
  FROM pg_constraint WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace
  UNION ALL
  SELECT tgrelid::regclass::text, 'trigger', pg_get_triggerdef(oid), '{}'
  FROM pg_trigger WHERE NOT tgisinternal`;

export async function readCatalog(query: Query): Promise<Catalog> {
  return {
    columns: z.array(column).parse(await query(COLUMNS)),
    rules: z.array(rule).parse(await query(RULES)),
  };
}

/**
 * Lists the changes with which a statement that works on the tables `before` can fail on those
 * `after`, or do something else. New tables, new columns that may be left out, and new indexes are no
 * such changes. A change inside a function is not seen.
 */
export function breakingChanges(before: Catalog, after: Catalog): string[] {
  const tables = new Set(before.columns.map(({ table }) => table));
  const columnOf = ({ columns }: Catalog, table: string, name: string) =>
    columns.find((each) => each.table === table && each.name === name);
  const found: string[] = [];
  for (const was of before.columns) {
    const now = columnOf(after, was.table, was.name);
    const named = `${was.table}.${was.name}`;
    if (!now) found.push(`${named} is gone`);
    else if (now.type !== was.type) found.push(`${named} was ${was.type} and is ${now.type}`);
    else if (was.isNullable && !now.isNullable) found.push(`${named} cannot be null any more`);
    else if (now.isNullable && !was.isNullable) found.push(`${named} can be null`);
    else if (was.hasDefault && !now.hasDefault) found.push(`${named} has no default any more`);
  }
  for (const { table, name, isNullable, hasDefault } of after.columns) {
    if (!tables.has(table) || columnOf(before, table, name)) continue;
    if (!isNullable && !hasDefault) found.push(`${table}.${name} is new and must be given`);
  }
  for (const { table, kind, definition, columns } of added(before.rules, after.rules)) {
    const [, target] = /^FOREIGN KEY .* REFERENCES (\w+)\(/.exec(definition) ?? [];
    if (target && tables.has(target) && !/ ON DELETE (CASCADE|SET)\b/.test(definition)) {
      found.push(`${table} can keep rows of ${target}: ${definition}`);
    }
    if (!tables.has(table)) continue;
    const newOnes = columns.filter((name) => !columnOf(before, table, name));
    const isAllNew = columns.length > 0 && newOnes.length === columns.length;
    if (kind === "check" && isAllNew) continue;
    // Rows of the version before have null there, and null differs from null.
    const isNull = (name: string) => {
      const { isNullable, hasDefault } = columnOf(after, table, name)!;
      return isNullable && !hasDefault;
    };
    if ((kind === "unique" || kind === "reference") && newOnes.some(isNull)) continue;
    found.push(`${table} has a new rule: ${definition}`);
  }
  // ON CONFLICT needs its unique index. Other rules can go.
  for (const { table, kind, definition } of added(after.rules, before.rules)) {
    if (kind === "unique") found.push(`${table} lost ${definition}`);
  }
  return found;
}

function added(before: Catalog["rules"], after: Catalog["rules"]): Catalog["rules"] {
  const known = new Set(before.map(({ table, definition }) => `${table} ${definition}`));
  return after.filter(({ table, definition }) => !known.has(`${table} ${definition}`));
}
