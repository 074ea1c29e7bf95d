import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { DELETE_BEGUN } from "../../core/engine-values.ts";

/** A state as the engine writes it, as far as it is read here. */
interface State {
  readonly resources?: readonly Resource[];
  readonly pending_operations?: readonly Pending[];
}

interface Resource {
  readonly urn: string;
  readonly type: string;
  /** An object somewhere; a component is none. */
  readonly custom?: boolean;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly type: string;
  readonly resource: Resource;
}

/**
 * Makes a state true for a destroy that may fail half way. What a killed engine began to make is taken
 * into it: without an id a destroy would not delete it. What is in Kubernetes needs none: it goes with
 * its namespace. And every object is marked as one whose delete has begun: the engine drops the mark
 * with the object, and an `up` that finds it does not take the object for whole. Throws what a system
 * that cannot be asked throws; the state is then as it was.
 */
export async function prepareDestroy(stack: Stack): Promise<void> {
  const exported = await stack.exportStack();
  const state = exported.deployment as State | null;
  const known = state?.resources ?? [];
  const resources = [...known, ...(await cutShort(state))];
  if (!resources.some(isObject)) return;
  // An import drops pending operations, so all of them must be known by now.
  await stack.importStack({
    ...exported,
    deployment: { ...state, resources: resources.map(withDeleteBegun) },
  });
}

async function cutShort(state: State | null): Promise<Resource[]> {
  const known = new Set(state?.resources?.map(({ urn }) => urn));
  const begun = (state?.pending_operations ?? [])
    .filter(({ type, resource }) => type === "creating" && !known.has(resource.urn))
    .flatMap(({ resource }) => {
      const module = moduleOf(resource);
      return module === undefined ? [] : { resource, module };
    });
  const made = await Promise.all(
    begun.map(async ({ resource, module }) => ({ resource, id: await find(module, resource) })),
  );
  return made.flatMap(({ resource, id }) => (id === undefined ? [] : withId(resource, id)));
}

function isObject({ custom, type }: Resource): boolean {
  return custom === true && !type.startsWith("pulumi:providers:");
}

/** The engine updates what has an error of its making, whether or not its inputs changed. */
function withDeleteBegun(resource: Resource): Resource {
  if (!isObject(resource)) return resource;
  const marked = { ...resource, initErrors: ["its delete had begun"] };
  if (moduleOf(resource) === undefined) return marked;
  return { ...marked, outputs: { ...resource.outputs, [DELETE_BEGUN]: true } };
}

/** As the engine keeps one whose create failed half way. */
function withId(resource: Resource, id: string): Resource & { readonly id: string } {
  return { ...resource, id, outputs: resource.inputs ?? {} };
}

async function find(module: string, { inputs }: Resource): Promise<string | undefined> {
  const { provider } = (await import(`rdev-infra/providers/${module}`)) as {
    readonly provider: {
      find(inputs: Readonly<Record<string, unknown>>): Promise<string | undefined>;
    };
  };
  return provider.find(inputs ?? {});
}

/** The module that the state refers to for a provider's code; undefined where it is not one of ours. */
function moduleOf({ inputs }: Resource): string | undefined {
  const reference = inputs?.["__provider"];
  if (typeof reference !== "string") return undefined;
  return /\("rdev-infra\/providers\/([\w/-]+)"\)/.exec(reference)?.[1];
}
