import { parseStackName } from "../stack-name.ts";

/** The files of the program, used to determine which stacks a changed file can affect. */
export interface Program {
  /** The files of the platform's program. */
  readonly platform: ReadonlySet<string>;
  /** The files of the projects' program. */
  readonly project: ReadonlySet<string>;
  /** Returns a project's template; undefined if it is unknown. */
  templateOf(stack: string): string | undefined;
}

export interface Affected {
  readonly stacks: readonly string[];
  /** The reason, for the report. */
  readonly why: string;
}

/** Folders and files that belong to no stack's program. */
const UNRELATED =
  /^(automation|bench|cli|docs|sandbox|tests|tools|\.ci|\.github|\.woodpecker)\/|\.md$|^\.(woodpecker\.ya?ml|gitignore|dependency-cruiser\.json|mocharc\.json|prettierignore|prettierrc\.json)$|^(eslint\.config\.js|tsconfig\.json)$/;

/** Source files here affect a stack only if its program imports them. */
const SOURCE = /^(core|components|providers|stacks)\/.*\.ts$/;

const TEMPLATE = /^templates\/([^/]+)\//;
const STACK_FILE = /^Pulumi\.([^/]+)\.ya?ml$/;

/**
 * Returns the stacks that a change of these files can affect. A deleted file needs no special case,
 * because its importers changed as well. A file of unknown kind means all stacks.
 */
export function affectedStacks(
  files: readonly string[],
  stacks: readonly string[],
  program: Program,
): Affected {
  const affected = new Set<string>();
  const reasons = new Set<string>();
  const add = (why: string, which: (stack: string) => boolean) => {
    reasons.add(why);
    for (const stack of stacks) if (which(stack)) affected.add(stack);
  };
  for (const file of files) {
    const [, template] = TEMPLATE.exec(file) ?? [];
    const [, stack] = STACK_FILE.exec(file) ?? [];
    const isSource = SOURCE.test(file) || file === "index.ts";
    if (template !== undefined) {
      add(
        `template ${template}`,
        (name) => !isPlatform(name) && usesTemplate(program, name, template),
      );
    } else if (stack !== undefined) {
      // Projects read the platform's settings.
      add(`config of ${stack}`, (name) => name === stack || name.startsWith(`${stack}.`));
    } else if (isSource) {
      if (program.platform.has(file)) add("the platform's program", isPlatform);
      if (program.project.has(file)) add("the projects' program", (name) => !isPlatform(name));
    } else if (!UNRELATED.test(file)) {
      return { stacks, why: `all: ${file} may affect any stack` };
    }
  }
  const why =
    reasons.size > 0 ? [...reasons].toSorted().join(", ") : "no file of a stack's program";
  return { stacks: stacks.filter((stack) => affected.has(stack)), why: `changed: ${why}` };
}

function usesTemplate(program: Program, stack: string, template: string): boolean {
  const own = program.templateOf(stack);
  return own === undefined || own === template;
}

function isPlatform(stack: string): boolean {
  return parseStackName(stack).kind === "platform";
}
