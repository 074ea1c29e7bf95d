import { isRecord, isUnknown, typeText } from "../engine-values.ts";
import { InfraError } from "../errors.ts";
import { ENVIRONMENT_LABEL, SERVICE_LABEL } from "../labels.ts";
import { differenceText, SETTINGS_RECORD, settingsDifferences } from "../recorded-settings.ts";
import { projectChanges, type ProjectChanges } from "../settings.ts";
import { realSteps } from "./changes.ts";
import type { Finding } from "./model.ts";
import { plainSecrets, safeText } from "./sensitive.ts";
import { nameOf, type Properties, type Step } from "./step.ts";

/** Checks for changes that should not happen by accident. `--block` takes their names. */
export const POLICIES = {
  "database-lost": "A Database is deleted or replaced, and its data with it.",
  "repository-lost": "A GitRepo is deleted or replaced, and its history with it.",
  "plain-secret": "An input of a resource contains a secret in plain text.",
  "unlabelled-pod": "A project's pod has no citadel.io labels: its logs go to the platform.",
  "unlimited-container": "A container has no limit of CPU or memory.",
  "settings-changed": "A project's config differs from the settings of its last up.",
} as const;

type PolicyName = keyof typeof POLICIES;

/** The default of `--block`. */
export const DEFAULT_BLOCK = "database-lost,repository-lost,plain-secret";

/** Policy names, and operations on types such as `replace:Database`. */
export interface BlockRules {
  readonly policies: ReadonlySet<PolicyName>;
  readonly operations: readonly { readonly op: string; readonly type: string }[];
}

const BLOCKING_OPERATIONS = ["replace", "delete", "create", "update"];

/**
 * Parses `database-lost,delete:Ingress`; `none` means no rule. A type is given in full
 * (`kubernetes:networking.k8s.io/v1:Ingress`), short (`kubernetes:Ingress`) or by its last part.
 * Throws RDEV_SETTINGS.
 */
export function parseBlockRules(text: string): BlockRules {
  const policies = new Set<PolicyName>();
  const operations: { op: string; type: string }[] = [];
  const parts = text.split(",").map((part) => part.trim());
  for (const part of parts) {
    const [, op = "", type = ""] = /^([a-z]+):(.+)$/.exec(part) ?? [];
    if (part in POLICIES) policies.add(part as PolicyName);
    else if (BLOCKING_OPERATIONS.includes(op)) operations.push({ op, type });
    else if (parts.length > 1 || part !== "none") {
      throw new InfraError(
        "RDEV_SETTINGS",
        `"${part}" is not a rule of --block. Rules are ${Object.keys(POLICIES).join(", ")}, ` +
          `an operation (${BLOCKING_OPERATIONS.join(", ")}) on a type such as replace:Database, ` +
          'or "none" alone.',
      );
    }
  }
  return { policies, operations };
}

interface Context {
  readonly secrets: readonly string[];
  /** A project's pods must have labels; the platform's own need none. */
  readonly isProject: boolean;
  readonly rules: BlockRules;
}

/** Applies the policies to the steps of one stack's preview that would change something. */
export function findings(steps: readonly Step[], context: Context): Finding[] {
  const { secrets, rules } = context;
  const finding = ({ urn }: Step, [rule, message]: Judgement): Finding => ({
    rule,
    urn: safeText(urn, secrets),
    message: safeText(message, secrets),
    blocks: rules.policies.has(rule),
  });
  const settings = steps.flatMap((step) => {
    const changed = settingsChanged(step);
    return changed === undefined ? [] : [finding(step, ["settings-changed", changed])];
  });
  const others = realSteps(steps).flatMap((step) => {
    const urn = safeText(step.urn, secrets);
    const judged = judge(step, context).map((judgement) => finding(step, judgement));
    const blocked = rules.operations
      .filter(({ op, type }) => op === operationOf(step) && isType(step.type, type))
      .map(({ op, type }) => ({
        rule: `${op}:${type}`,
        urn,
        message: `${typeText(step.type)} ${nameOf(urn)}: ${op} is set to block.`,
        blocks: true,
      }));
    return [...judged, ...blocked];
  });
  return [...settings, ...others];
}

type Judgement = readonly [rule: PolicyName, message: string];

function judge(step: Step, { secrets, isProject }: Context): Judgement[] {
  const op = operationOf(step);
  const what = `${typeText(step.type)} ${nameOf(step.urn)}`;
  const found: Judgement[] = [];
  if (op === "replace" || op === "delete") found.push(...lost(step, op, what));
  const inputs = step.new?.inputs;
  if (!inputs || op === "same" || op === "delete") return found;
  for (const path of plainSecrets(step.type, inputs, secrets)) {
    found.push(["plain-secret", `${what}: ${path} holds a secret in plain text.`]);
  }
  const pod = podOf(step.type, inputs);
  if (!pod) return found;
  const missing = isProject ? missingLabels(pod.metadata) : [];
  if (missing.length > 0) {
    found.push(["unlabelled-pod", `${what}: its pods lack ${missing.join(" and ")}.`]);
  }
  for (const [name, limits] of unlimited(pod.spec)) {
    const message = `${what}: container ${name} has no limit of ${limits.join(" and ")}.`;
    found.push(["unlimited-container", message]);
  }
  return found;
}

/** Types that hold data. */
const DATA: Readonly<Partial<Record<string, Judgement>>> = {
  "pulumi-nodejs:dynamic/postgres:Database": ["database-lost", "its data is lost."],
  "pulumi-nodejs:dynamic/gitea:Repository": ["repository-lost", "its history is lost."],
};

/** Whether the type holds data, which is lost with the object. */
export function holdsData(type: string): boolean {
  return type in DATA;
}

function lost(step: Step, op: string, what: string): Judgement[] {
  const data = DATA[step.type];
  // A retained resource keeps its data. The report still lists the deletion.
  if (!data || step.old?.inputs["retain"] === true) return [];
  return [[data[0], `${what} would be ${op}d: ${data[1]}`]];
}

function operationOf({ op }: Step): string {
  return op.includes("replace") ? "replace" : op;
}

function isType(type: string, wanted: string): boolean {
  return [type, typeText(type), type.split(":").at(-1)].includes(wanted);
}

interface Pod {
  readonly metadata: unknown;
  readonly spec: unknown;
}

/** The pod template of a Kubernetes workload; undefined for other types. */
function podOf(type: string, inputs: Properties): Pod | undefined {
  const [, kind] = /^kubernetes:(?:apps|batch|core)\/v1:(\w+)$/.exec(type) ?? [];
  if (kind === "Pod") return { metadata: inputs["metadata"], spec: inputs["spec"] };
  const isWorkload = /^(Deployment|StatefulSet|DaemonSet|ReplicaSet|Job)$/.test(kind ?? "");
  if (!isWorkload && kind !== "CronJob") return undefined;
  const job = isWorkload ? inputs : inside(inputs["spec"], "jobTemplate");
  const template = inside(inside(job, "spec"), "template");
  return { metadata: inside(template, "metadata"), spec: inside(template, "spec") };
}

function missingLabels(metadata: unknown): string[] {
  const labels = inside(metadata, "labels");
  if (isUnknown(metadata) || isUnknown(labels)) return [];
  return [ENVIRONMENT_LABEL, SERVICE_LABEL].filter((label) => inside(labels, label) === undefined);
}

function unlimited(spec: unknown): (readonly [name: string, limits: string[]])[] {
  return ["initContainers", "containers"].flatMap((key) => {
    const containers = inside(spec, key);
    if (!Array.isArray(containers)) return [];
    return containers.flatMap((container: unknown) => {
      const resources = inside(container, "resources");
      const limits = inside(resources, "limits");
      if ([container, resources, limits].some(isUnknown)) return [];
      const without = ["cpu", "memory"].filter((limit) => inside(limits, limit) === undefined);
      const name = inside(container, "name");
      return without.length > 0 ? [[typeof name === "string" ? name : "?", without] as const] : [];
    });
  });
}

function inside(value: unknown, key: string): unknown {
  return isRecord(value) ? value[key] : undefined;
}

/** Names the settings that `up` would change; undefined for any other step. */
function settingsChanged({ type, op, urn, ...step }: Step): string | undefined {
  if (type !== SETTINGS_RECORD || op !== "update") return undefined;
  const [before, after] = [settingsOf(step.old?.inputs), settingsOf(step.new?.inputs)];
  if (!before || !after) return undefined;
  const differences = settingsDifferences(before, after).map(differenceText);
  if (differences.length === 0) return undefined;
  return `${nameOf(urn)} differs from its last up: ${differences.join(", ")}.`;
}

function settingsOf(inputs: Properties | undefined): ProjectChanges | undefined {
  return projectChanges.safeParse(inputs?.["settings"]).data;
}
