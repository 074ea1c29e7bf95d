import type { DriftChange } from "../../core/drift.ts";
import { FOREIGN_FIELDS } from "../../core/drift-finding.ts";
import { isRecord } from "../../core/engine-values.ts";
import { CONTAINER } from "../../core/labels.ts";
import type { Properties, Step } from "../../core/previews/step.ts";
import { Kubernetes, type ObjectName } from "../../providers/kubernetes/client.ts";

type Found = Omit<DriftChange, "by">;

/**
 * Adds who changed each object. Only Kubernetes records that: other objects, and those that are gone,
 * get an empty list. So does everything while Kubernetes does not answer. `steps` are what the servers said.
 */
export async function withAuthors(
  changes: readonly Found[],
  steps: readonly Step[],
): Promise<DriftChange[]> {
  let kubernetes: Promise<Kubernetes> | undefined;
  const live = new Map(steps.map(({ urn, new: state }) => [urn, state?.outputs] as const));
  return Promise.all(
    changes.map(async (change) => {
      const state = live.get(change.urn);
      const isInKubernetes = /^(kubernetes:|pulumi-nodejs:dynamic\/kubernetes:)/.test(change.type);
      if (!state || !isInKubernetes) return { ...change, by: [] };
      try {
        kubernetes ??= Kubernetes.connect();
        return { ...change, by: await authorsOf(await kubernetes, change, state) };
      } catch {
        return { ...change, by: [] }; // a look at the project must not fail for want of a name
      }
    }),
  );
}

async function authorsOf(
  kubernetes: Kubernetes,
  { type, properties }: Found,
  state: Properties,
): Promise<DriftChange["by"]> {
  if (type === FOREIGN_FIELDS) {
    const { namespace, deployment } = state;
    if (typeof namespace !== "string" || typeof deployment !== "string") return [];
    return kubernetes.managersOfDeployment(namespace, deployment, CONTAINER);
  }
  const object = objectOf(state);
  if (!object) return [];
  const paths = properties.map(({ path }) => withoutItems(path));
  const isChanged = (held: string) => paths.some((path) => overlap(path, withoutItems(held)));
  return kubernetes.managersOf(object, isChanged);
}

/** Undefined for a resource that is no object of Kubernetes' own form. */
function objectOf({ apiVersion, kind, metadata }: Properties): ObjectName | undefined {
  const { name, namespace } = isRecord(metadata) ? metadata : {};
  if (typeof apiVersion !== "string" || typeof kind !== "string" || typeof name !== "string") {
    return undefined;
  }
  return { apiVersion, kind, name, ...(typeof namespace === "string" && { namespace }) };
}

/** Kubernetes names the items of a list, and the engine counts them. */
function withoutItems(path: string): string {
  return path.replace(/\["([^"]*)"\]/g, ".$1").replace(/\[[^\]]*\]/g, "");
}

function overlap(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}.`) || b.startsWith(`${a}.`);
}
