import { parse } from "csv-parse/sync";
import { InfraError, problems } from "./errors.ts";
import { parseProjectConfig, type ProjectChanges } from "./settings.ts";
import { slugProblems } from "./slug.ts";

/** A project of a list, with the settings that its row names. */
export interface ListedProject {
  readonly slug: string;
  readonly changes: ProjectChanges;
}

const COLUMNS = ["slug", "name", "template", "retainData", "retainRepository"] as const;

interface Row {
  readonly record: readonly string[];
  /** Lines are where the record ends. */
  readonly info: { readonly lines: number };
}

/**
 * Reads a list of projects: a CSV file (RFC 4180) with the column `slug` and any of `name`, `template`,
 * `retainData` and `retainRepository`. An empty cell names no setting. Throws one RDEV_SETTINGS that
 * names every mistake with its line.
 */
export function parseAdoptionList(text: string): ListedProject[] {
  const [header, ...rows] = rowsIn(text);
  if (!header || rows.length === 0) throw invalid(["it has no project"]);
  const columns = header.record;
  const mistakes = headerMistakes(columns);
  if (mistakes.length > 0) throw invalid(mistakes);

  const seen = new Map<string, number>();
  const projects: ListedProject[] = [];
  for (const { record, info } of rows) {
    const wrong = (mistake: string) => mistakes.push(`line ${info.lines}: ${mistake}`);
    if (record.length !== columns.length) {
      wrong(`it has ${record.length} cells, but the header has ${columns.length}`);
      continue;
    }
    const cells = columns.map((column, at) => [column, record[at] ?? ""] as const);
    const { slug = "", ...settings } = Object.fromEntries(cells.filter(([, cell]) => cell !== ""));
    for (const problem of slugProblems(slug)) wrong(`the slug "${slug}" is not valid: ${problem}`);
    const before = seen.get(slug);
    if (before !== undefined) wrong(`the slug "${slug}" is in line ${before}, too`);
    seen.set(slug, info.lines);
    try {
      projects.push({ slug, changes: parseProjectConfig(settings) });
    } catch (error) {
      if (!(error instanceof InfraError)) throw error;
      const [, ...lines] = error.message.split("\n  - ");
      for (const line of lines) wrong(line);
    }
  }
  if (mistakes.length > 0) throw invalid(mistakes);
  return projects;
}

function rowsIn(text: string): Row[] {
  try {
    return parse(text, {
      bom: true,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as Row[];
  } catch (error) {
    throw invalid([(error as Error).message]);
  }
}

function headerMistakes(columns: readonly string[]): string[] {
  const known: readonly string[] = COLUMNS;
  const unknown = columns.filter((column) => !known.includes(column));
  const twice = columns.filter((column, at) => columns.indexOf(column) !== at);
  return [
    ...(columns.includes("slug") ? [] : ["line 1: the column slug is missing"]),
    ...unknown.map((column) => `line 1: "${column}" is none of the columns ${COLUMNS.join(", ")}`),
    ...twice.map((column) => `line 1: the column ${column} is there twice`),
  ];
}

function invalid(mistakes: readonly string[]): InfraError {
  return problems("RDEV_SETTINGS", "The list of projects is invalid:", mistakes);
}
