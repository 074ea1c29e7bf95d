import { matchesGlob } from "node:path";
import { z } from "zod";

/** The run that filters are tested against. */
export interface Run {
  readonly event: string;
  readonly branch: string;
  readonly ref: string;
  /** `<owner>/<name>`. */
  readonly repository: string;
  readonly message: string;
  /** The paths that a push changed. */
  readonly changedFiles: readonly string[];
}

const strings = z.union([z.string().transform((text) => [text]), z.array(z.string())]);
const list = strings.nullish().transform((given) => given ?? []);
const patterns = z
  .union([
    strings.transform((include) => ({ include, exclude: [] as string[] })),
    z.object({ include: list, exclude: list }),
  ])
  .optional();
const paths = z
  .union([
    strings.transform((include) => ({
      include,
      exclude: [] as string[],
      ignore_message: "",
      on_empty: true,
    })),
    z.object({
      include: list,
      exclude: list,
      ignore_message: z.string().default(""),
      on_empty: z.boolean().default(true),
    }),
  ])
  .optional();

/** Without `cron`, which concerns another event, and `local`, which concerns the command line. */
const constraint = z.object({
  event: list,
  branch: patterns,
  ref: patterns,
  repo: patterns,
  path: paths,
  status: list,
});

/** The `when` of a workflow or a step. An empty list matches every run. */
export const when = z
  .union([constraint.transform((one) => [one]), z.array(constraint)])
  .nullish()
  .transform((given) => given ?? []);

type Constraint = z.output<typeof constraint>;
type Constraints = z.output<typeof when>;

export function hasEventFilter(filters: Constraints): boolean {
  return filters.length > 0 && filters.every(({ event }) => event.length > 0);
}

/** Whether a constraint matches the run (pipeline/frontend/yaml/constraint). */
export function matches(filters: Constraints, run: Run): boolean {
  return filters.length === 0 || filters.some((one) => matchesOne(one, run));
}

/** Whether a step runs while all steps before it succeeded, and once one of them failed. */
export function runsOn(filters: Constraints, run: Run): { success: boolean; failure: boolean } {
  const statuses = filters.filter((one) => matchesOne(one, run)).map(({ status }) => status);
  return {
    success:
      filters.length === 0 ||
      statuses.some((status) => status.length === 0 || status.includes("success")),
    failure: statuses.some((status) => status.includes("failure")),
  };
}

function matchesOne({ event, branch, ref, repo, path }: Constraint, run: Run): boolean {
  return (
    (event.length === 0 || event.includes(run.event)) &&
    passes(branch, run.branch) &&
    passes(ref, run.ref) &&
    passes(repo, run.repository) &&
    (run.event !== "push" || passesPaths(path, run))
  );
}

function passes(filter: z.output<typeof patterns>, value: string): boolean {
  if (!filter) return true;
  const isIn = (all: readonly string[]) => all.some((pattern) => matchesGlob(value, pattern));
  return !isIn(filter.exclude) && (filter.include.length === 0 || isIn(filter.include));
}

/** A push is excluded only if every file is, and included if one file is (constraint/path.go). */
function passesPaths(filter: z.output<typeof paths>, { changedFiles, message }: Run): boolean {
  if (!filter) return true;
  const { include, exclude, ignore_message: ignored, on_empty: onEmpty } = filter;
  if (ignored !== "" && message.toLowerCase().includes(ignored.toLowerCase())) return true;
  if (changedFiles.length === 0) return onEmpty;
  const isIn = (all: readonly string[]) => (file: string) =>
    all.some((pattern) => matchesGlob(file, pattern));
  if (exclude.length > 0 && changedFiles.every(isIn(exclude))) return false;
  return include.length === 0 || changedFiles.some(isIn(include));
}
