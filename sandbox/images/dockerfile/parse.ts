import { posix } from "node:path";
import {
  DockerfileParser,
  From,
  type Instruction,
  ModifiableInstruction,
  PropertyInstruction,
} from "dockerfile-ast";
import { z } from "zod";
import { problems } from "../../../core/errors.ts";
import type { ImageConfig } from "../image.ts";
import type { Owner } from "../layer.ts";
import { goCommands } from "./go-commands.ts";
import type { Base, BuilderStage, Copy, Plan, Run } from "./plan.ts";

const GOLANG = /^(docker\.io\/)?(library\/)?golang([:@].*)?$/;
const STATIC = /^gcr\.io\/distroless\/static(-debian\d+)?(:(latest|nonroot))?(@.*)?$/;
/** The user of distroless images with the tag `nonroot`. */
const NONROOT = "65532";

const OWNER = /^(\d+)(?::(\d+))?$/;
const MODE = /^[0-7]{3,4}$/;

const words = z.array(z.string()).min(1);

/** A stage while its instructions are read. */
interface Stage {
  readonly name: string | undefined;
  /** Undefined for a golang stage. */
  readonly base: Base | undefined;
  readonly steps: (Copy | Run)[];
  readonly env: Record<string, string>;
  readonly labels: Record<string, string>;
  folder: string;
  config: ImageConfig;
}

/** Reads one instruction into its stage. Returns the reason if it cannot be built. */
type Reader = (
  instruction: Instruction,
  stage: Stage,
  stages: readonly Stage[],
) => string | undefined;

const IN_ANY_STAGE: Readonly<Record<string, Reader>> = {
  COPY: readCopy,
  ENV: (instruction, { env }) => readProperties(instruction, env),
  WORKDIR: (instruction, stage) => {
    stage.folder = posix.resolve(stage.folder, instruction.getArgumentsContent() ?? "");
  },
};

const IN_A_BUILDER: Readonly<Record<string, Reader>> = { ...IN_ANY_STAGE, RUN: readRun };

const IN_THE_FINAL_STAGE: Readonly<Record<string, Reader>> = {
  ...IN_ANY_STAGE,
  CMD: (instruction, stage) =>
    readWords(instruction, (command) => (stage.config = { ...stage.config, command })),
  ENTRYPOINT: (instruction, stage) =>
    readWords(instruction, (entrypoint) => (stage.config = { ...stage.config, entrypoint })),
  EXPOSE: (instruction, stage) => {
    const ports = [...(stage.config.ports ?? []), ...argumentsOf(instruction)];
    stage.config = { ...stage.config, ports };
  },
  LABEL: (instruction, { labels }) => readProperties(instruction, labels),
  USER: (instruction, stage) => {
    const [user = "", ...others] = argumentsOf(instruction);
    if (others.length > 0) return "names more than one user";
    stage.config = { ...stage.config, user };
  },
};

/** Flags that can be built, by instruction. */
const FLAGS: Readonly<Record<string, readonly string[]>> = { COPY: ["from", "chown", "chmod"] };

/**
 * Reads a Dockerfile that has golang stages, which run go commands, and then a stage
 * `FROM scratch` or `FROM gcr.io/distroless/static`.
 * Errors: RDEV_SANDBOX names every instruction that cannot be built, with its line.
 */
export function parseDockerfile(text: string): Plan {
  const mistakes: string[] = [];
  const stages: Stage[] = [];
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    const reason = read(instruction, stages);
    if (reason !== undefined) {
      mistakes.push(`line ${lineOf(instruction)}: ${instruction.getKeyword()}: ${reason}`);
    }
  }
  const final = stages.at(-1);
  if (mistakes.length === 0 && final?.base === undefined) {
    mistakes.push("the last stage must be FROM scratch or FROM gcr.io/distroless/static");
  }
  if (mistakes.length > 0 || final?.base === undefined) {
    throw problems(
      "RDEV_SANDBOX",
      "The sandbox cannot build this Dockerfile. It builds golang stages that run go commands, and a " +
        "last stage FROM scratch or gcr.io/distroless/static. Change these lines, or set " +
        "WOODPECKER_URL, so that a real Woodpecker builds the image:",
      mistakes,
    );
  }
  const { base, steps, env, labels, folder, config } = final;
  return {
    builders: stages.slice(0, -1).map(({ name, steps }): BuilderStage => ({ name, steps })),
    final: {
      base,
      steps: steps.filter((step) => step.kind === "copy"),
      config: {
        ...config,
        ...(Object.keys(env).length > 0 && { env }),
        ...(Object.keys(labels).length > 0 && { labels }),
        ...(folder !== "/" && { folder }),
      },
    },
  };
}

function read(instruction: Instruction, stages: Stage[]): string | undefined {
  const keyword = instruction.getKeyword();
  const content = instruction.getArgumentsContent();
  if (content === null) return "has no arguments";
  const unknown = flagsOf(instruction).find((name) => !FLAGS[keyword]?.includes(name));
  const badFlag = unknown && `the flag --${unknown} is not supported; leave it out`;
  // The stage begins even if its FROM is wrong, so that its instructions are checked as well.
  if (instruction instanceof From) return readFrom(instruction, stages) ?? badFlag;
  if (badFlag !== undefined) return badFlag;
  const stage = stages.at(-1);
  if (!stage) return "is before the first FROM; write the value where it is used";
  // Docker does not replace variables in these; a program does, or a shell.
  const isLiteral = ["RUN", "CMD", "ENTRYPOINT"].includes(keyword);
  if (!isLiteral && content.includes("$")) return "variables are not supported; write the value";
  const readers = stage.base === undefined ? IN_A_BUILDER : IN_THE_FINAL_STAGE;
  const reader = readers[keyword];
  if (reader) return reader(instruction, stage, stages);
  if (keyword === "RUN")
    return `a stage FROM ${stage.base} has no shell; move it to a golang stage`;
  const where = stage.base === undefined ? "a golang stage" : "the last stage";
  return `is not supported in ${where}; leave it out`;
}

function readFrom(from: From, stages: Stage[]): string | undefined {
  const image = from.getImage() ?? "";
  const previous = stages.at(-1);
  if (previous?.base !== undefined) {
    return `follows a stage FROM ${previous.base}, which must be the last`;
  }
  const base = image === "scratch" ? "scratch" : STATIC.test(image) ? "static" : undefined;
  const isNonroot = STATIC.exec(image)?.[3] === "nonroot";
  stages.push({
    name: from.getBuildStage() ?? undefined,
    base,
    steps: [],
    env: {},
    labels: {},
    // The official image of Go has this working folder.
    folder: base === undefined ? "/go" : "/",
    config: isNonroot ? { user: NONROOT } : {},
  });
  if (base === undefined && !GOLANG.test(image)) {
    return `the image ${image} is not available; use golang, and at the end scratch or gcr.io/distroless/static`;
  }
}

function readCopy(
  instruction: Instruction,
  stage: Stage,
  stages: readonly Stage[],
): string | undefined {
  const flag = (name: string) => flagOf(instruction, name);
  const [from, chown, chmod] = [flag("from"), flag("chown"), flag("chmod")];
  const index = from === undefined ? undefined : builderIndex(from, stages);
  if (index === -1)
    return `--from=${from} is not a golang stage above this line; copy from one of those`;
  const owner = chown === undefined ? undefined : ownerOf(chown);
  if (chown !== undefined && !owner) {
    return `--chown=${chown} is not a user id and a group id; write them as numbers: 65532:65532`;
  }
  if (chmod !== undefined && !MODE.test(chmod)) {
    return `--chmod=${chmod} is not an octal mode; write one, such as 0755`;
  }
  const content = instruction.getArgumentsContent() ?? "";
  const paths = content.startsWith("[") ? jsonWords(content) : argumentsOf(instruction);
  if (!paths) return "the list is not valid JSON";
  const target = paths.at(-1) ?? "";
  const sources = paths.slice(0, -1);
  if (sources.length === 0) return "needs a source and a target";
  if (sources.some((source) => source.startsWith("<<"))) {
    return "here-documents are not supported; put the text in a file";
  }
  const outside = sources.find((source) => posix.normalize(source).startsWith(".."));
  if (outside !== undefined) return `${outside} is outside the build context`;
  stage.steps.push({
    kind: "copy",
    line: lineOf(instruction),
    from: index,
    sources: sources.map((source) => posix.relative("/", posix.resolve("/", source))),
    target: posix.resolve(stage.folder, target),
    isFolder: /(^|\/)\.?$/.test(target),
    owner,
    mode: chmod === undefined ? undefined : Number.parseInt(chmod, 8),
  });
}

function readRun(instruction: Instruction, stage: Stage): string | undefined {
  const content = instruction.getArgumentsContent() ?? "";
  if (content.startsWith("<<")) return "here-documents are not supported; join commands with &&";
  const list = content.startsWith("[") ? jsonWords(content) : undefined;
  if (list && list[0] !== "go") return `"${list[0]}" is not \`go\`; only go commands can run`;
  // Joined from the arguments, because the content still has comments between the lines.
  const commands = list
    ? [{ args: list.slice(1), env: {} }]
    : goCommands(argumentsOf(instruction).join(" "));
  if (typeof commands === "string") return commands;
  stage.steps.push({
    kind: "run",
    line: lineOf(instruction),
    commands: commands.map(({ args, env }) => ({ args, env: { ...stage.env, ...env } })),
    folder: stage.folder,
  });
}

function readWords(instruction: Instruction, use: (words: string[]) => void): string | undefined {
  const list = jsonWords(instruction.getArgumentsContent() ?? "");
  if (!list) return 'the image has no shell; write a JSON list, such as ["/service", "serve"]';
  use(list);
}

function readProperties(
  instruction: Instruction,
  into: Record<string, string>,
): string | undefined {
  const properties = instruction instanceof PropertyInstruction ? instruction.getProperties() : [];
  for (const property of properties) {
    const value = property.getValue();
    if (value === null) return `${property.getName()} has no value`;
    into[property.getName()] = value;
  }
}

/** The index of the golang stage with this name or number; -1 if there is none. */
function builderIndex(from: string, stages: readonly Stage[]): number {
  const above = stages.slice(0, -1);
  const byName = above.findIndex(({ name }) => name?.toLowerCase() === from.toLowerCase());
  if (byName !== -1 || !/^\d+$/.test(from)) return byName;
  return Number(from) < above.length ? Number(from) : -1;
}

function ownerOf(text: string): Owner | undefined {
  const [, uid, gid = uid] = OWNER.exec(text) ?? [];
  return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

function jsonWords(text: string): string[] | undefined {
  try {
    return words.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function flagsOf(instruction: Instruction): string[] {
  if (!(instruction instanceof ModifiableInstruction)) return [];
  return instruction.getFlags().map((flag) => flag.getName());
}

function flagOf(instruction: Instruction, name: string): string | undefined {
  if (!(instruction instanceof ModifiableInstruction)) return undefined;
  const flag = instruction.getFlags().find((one) => one.getName() === name);
  return flag?.getValue() ?? undefined;
}

const argumentsOf = (instruction: Instruction) =>
  instruction.getArguments().map((argument) => argument.getValue());

const lineOf = (instruction: Instruction) => instruction.getRange().start.line + 1;
