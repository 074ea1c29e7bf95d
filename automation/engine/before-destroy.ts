import { DELETE_BEGUN } from "../../core/engine-values.ts";
import { isObject, type StackState, type StateResource } from "./state.ts";

/**
 * Changes a state, without saving it, so that a destroy deletes everything and may fail half way.
 *
 * 1. It adds what a killed engine began to create: without an id, a destroy would not delete it. It
 *    finds the ids on the servers. Objects in Kubernetes need none, as they go with their namespace.
 * 2. It marks every object as one whose delete has begun. The engine removes the mark with the object,
 *    so an `up` after a failed destroy does not take a half deleted object for a whole one.
 *
 * If a server cannot be asked, it rethrows that error and leaves the state unchanged.
 */
export async function prepareDestroy(state: StackState): Promise<void> {
  const resources = [...state.resources, ...(await foundOnServers(state))];
  if (!resources.some(isObject)) return;
  state.replaceResources(resources.map(markDeleteBegun));
}

async function foundOnServers(state: StackState): Promise<StateResource[]> {
  const found = await Promise.all(
    state.halfCreated.map(async (resource) => {
      const module = providerModule(resource);
      const id = module === undefined ? undefined : await findId(module, resource);
      // The form in which the engine keeps a resource whose create failed half way.
      return id === undefined ? [] : [{ ...resource, id, outputs: resource.inputs ?? {} }];
    }),
  );
  return found.flat();
}

function markDeleteBegun(resource: StateResource): StateResource {
  if (!isObject(resource)) return resource;
  // The engine updates a resource with initErrors even if its inputs have not changed.
  const marked = { ...resource, initErrors: ["its delete had begun"] };
  if (providerModule(resource) === undefined) return marked;
  return { ...marked, outputs: { ...resource.outputs, [DELETE_BEGUN]: true } };
}

async function findId(module: string, { inputs }: StateResource): Promise<string | undefined> {
  const { provider } = (await import(`rdev-infra/providers/${module}`)) as {
    readonly provider: {
      find(inputs: Readonly<Record<string, unknown>>): Promise<string | undefined>;
    };
  };
  return provider.find(inputs ?? {});
}

/** The module in providers/ that the state refers to; undefined if another plugin owns the resource. */
function providerModule({ inputs }: StateResource): string | undefined {
  const reference = inputs?.["__provider"];
  if (typeof reference !== "string") return undefined;
  return /\("rdev-infra\/providers\/([\w/-]+)"\)/.exec(reference)?.[1];
}
