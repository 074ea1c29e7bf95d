import type { Adoptable } from "../../core/adoption.ts";
import { asInfraError, InfraError, problems, userMessage } from "../../core/errors.ts";
import { NO_CHANGES, notBegun, type Outcome } from "../../core/operation.ts";
import { changeSettings, settingsInState } from "../../core/recorded-settings.ts";
import { type ProjectChanges, projectSizes } from "../../core/settings.ts";
import { parseStackName } from "../../core/stack-name.ts";
import type { AdoptedProject, Adoption } from "../../providers/adoption.ts";
import { PACKAGE } from "../engine/folders.ts";
import type { UpOptions } from "../engine/options.ts";
import { platformSettingsOf } from "../engine/requirements.ts";
import { within } from "../deadline.ts";
import { up } from "../engine/stack.ts";
import { ownerIn, StackState } from "../engine/state.ts";
import { adoptions, type LookUp, lookUp } from "./look-up.ts";

/** For each system, in ms: it writes, and waits for the cluster's controllers. */
const DEADLINE = 120_000;

interface AdoptOptions extends UpOptions {
  /** Called with each object that exists. Must not throw. */
  readonly onFound?: (object: Adoptable) => void;
  /** The settings that `config` names. */
  readonly changes?: ProjectChanges | undefined;
}

/**
 * The project that a stack would adopt. Throws RDEV_STACK_NAME for a platform, RDEV_PLATFORM and
 * RDEV_SETTINGS.
 */
export async function adoptedProject(
  stack: string,
  { workDir = PACKAGE, changes = {}, formerly }: AdoptOptions,
): Promise<AdoptedProject> {
  const name = parseStackName(stack);
  if (name.kind === "platform") {
    const text = `"${stack}" is a platform. Name a project on it: ${stack}.<slug>.`;
    throw new InfraError("RDEV_STACK_NAME", text);
  }
  const [settings, state] = await Promise.all([
    platformSettingsOf(name, workDir),
    StackState.find(stack, workDir),
  ]);
  const { slug } = name;
  const recorded = changeSettings(settingsInState(state?.resources ?? [], formerly), changes);
  return {
    slug,
    settings,
    owner: ownerIn(stack, state),
    name: recorded.name ?? slug,
    sizes: projectSizes(settings, { sizes: recorded.sizes ?? {} }),
  };
}

/**
 * Why a project cannot be adopted: RDEV_NOT_OURS or RDEV_ADOPT with every reason, or RDEV_NOT_FOUND
 * without anything to adopt. Undefined if it can.
 */
export function refusalOf(stack: string, { found, refusal }: LookUp): InfraError | undefined {
  if (refusal || found.length > 0) return refusal;
  const text = `Nothing exists under the name of ${stack}. To create the project, run up.`;
  return new InfraError("RDEV_NOT_FOUND", text);
}

/**
 * Marks everything that exists under a project's name, then brings its stack up around it. Refuses
 * before it marks anything if one object cannot be adopted. After an interruption the same call
 * continues. Never throws.
 */
export async function adopt(stack: string, options: AdoptOptions): Promise<Outcome> {
  const asked = await ask(stack, options);
  if (asked instanceof InfraError) return notBegun(asked);
  try {
    await everywhere("mark", asked);
    await everywhere("prepare", asked);
  } catch (error) {
    return withError(NOTHING, error);
  }
  const outcome = await up(stack, options);
  if (outcome.result !== "succeeded") return outcome;
  return everywhere("finish", asked).then(
    () => outcome,
    (error: unknown) => withError(outcome, error),
  );
}

/** Calls `onFound` with what `adopt` would adopt. Changes nothing. Never throws. */
export async function previewAdoption(stack: string, options: AdoptOptions): Promise<Outcome> {
  const asked = await ask(stack, options);
  if (asked instanceof InfraError) return notBegun(asked);
  return { ...NOTHING, result: "succeeded" };
}

/** The project to adopt, or why it cannot be adopted. */
async function ask(stack: string, options: AdoptOptions): Promise<AdoptedProject | InfraError> {
  try {
    const project = await adoptedProject(stack, options);
    const found = await lookUp(project);
    for (const object of found.found) options.onFound?.(object);
    return refusalOf(stack, found) ?? project;
  } catch (error) {
    return asInfraError(error);
  }
}

const NOTHING: Outcome = {
  result: "failed",
  changes: NO_CHANGES,
  outputs: {},
  durationMs: 0,
  errors: [],
};

function withError(outcome: Outcome, error: unknown): Outcome {
  const { code, message } = asInfraError(error);
  return { ...outcome, result: "failed", errors: [...outcome.errors, { code, message }] };
}

type Step = keyof Pick<Adoption, "mark" | "prepare" | "finish">;

/** Takes a step on all systems at once, and goes on with the others if one fails. */
async function everywhere(step: Step, project: AdoptedProject): Promise<void> {
  const results = await Promise.allSettled(
    adoptions().map(async ({ adoption }) =>
      within(DEADLINE, async (closing) => adoption[step]?.(project, closing)),
    ),
  );
  const errors = results.flatMap((each) =>
    each.status === "rejected" ? [each.reason as unknown] : [],
  );
  const [first] = errors;
  if (first === undefined) return;
  const head = `The adoption of "${project.slug}" stopped at the step "${step}". Run it again:`;
  throw problems(asInfraError(first).code, head, errors.map(userMessage));
}
