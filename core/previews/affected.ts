import { parseStackName } from "../stack-name.ts";

/** What is known of the program, for telling what a change of its files can touch. */
export interface Program {
  /** Files that the platform's program is made of. */
  readonly platform: ReadonlySet<string>;
  /** Files that the projects' program is made of. */
  readonly project: ReadonlySet<string>;
  /** A project's template; undefined where it cannot be told. */
  templateOf(stack: string): string | undefined;
}

export interface Affected {
  readonly stacks: readonly string[];
  /** In words, for the report. */
  readonly why: string;
}

/** Folders and files that no stack's program is made of. */
const BESIDE =
  /^(automation|bench|cli|docs|sandbox|tests|tools|\.ci|\.github|\.woodpecker)\/|\.md$|^\.(woodpecker\.ya?ml|gitignore|dependency-cruiser\.json|mocharc\.json|prettierignore|prettierrc\.json)$|^(eslint\.config\.js|tsconfig\.json)$/;

/** Folders of which a file that the program does not import cannot touch a stack. */
const SOURCE = /^(core|components|providers|stacks)\/.*\.ts$/;

const TEMPLATE = /^templates\/([^/]+)\//;
const STACK_FILE = /^Pulumi\.([^/]+)\.ya?ml$/;

/**
 * The stacks that a change of these files can touch. A file that is gone needs no look: what imported
 * it has changed as well. All of them, where a file is of no known kind.
 */
export function affectedStacks(
  files: readonly string[],
  stacks: readonly string[],
  program: Program,
): Affected {
  const touched = new Set<string>();
  const reasons = new Set<string>();
  const touch = (why: string, which: (stack: string) => boolean) => {
    reasons.add(why);
    for (const stack of stacks) if (which(stack)) touched.add(stack);
  };
  for (const file of files) {
    const [, template] = TEMPLATE.exec(file) ?? [];
    const [, stack] = STACK_FILE.exec(file) ?? [];
    const isSource = SOURCE.test(file) || file === "index.ts";
    if (template !== undefined) {
      touch(
        `template ${template}`,
        (name) => !isPlatform(name) && usesTemplate(program, name, template),
      );
    } else if (stack !== undefined) {
      // A platform's settings are its projects' as well.
      touch(`config of ${stack}`, (name) => name === stack || name.startsWith(`${stack}.`));
    } else if (isSource) {
      if (program.platform.has(file)) touch("the platform's program", isPlatform);
      if (program.project.has(file)) touch("the projects' program", (name) => !isPlatform(name));
    } else if (!BESIDE.test(file)) {
      return { stacks, why: `all: ${file} may touch any` };
    }
  }
  const why =
    reasons.size > 0 ? [...reasons].toSorted().join(", ") : "nothing that a stack is made of";
  return { stacks: stacks.filter((stack) => touched.has(stack)), why: `changed: ${why}` };
}

function usesTemplate(program: Program, stack: string, template: string): boolean {
  const own = program.templateOf(stack);
  return own === undefined || own === template;
}

function isPlatform(stack: string): boolean {
  return parseStackName(stack).kind === "platform";
}
