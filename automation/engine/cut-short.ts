import type { Stack } from "@pulumi/pulumi/automation/index.js";

/** A state as the engine writes it, as far as it is read here. */
interface State {
  readonly resources?: readonly { readonly urn: string }[];
  readonly pending_operations?: readonly Pending[];
}

interface Pending {
  readonly type: string;
  readonly resource: {
    readonly urn: string;
    readonly inputs?: Readonly<Record<string, unknown>>;
  };
}

/**
 * Takes into the state what a killed engine began to make and did not hear of again. It may be on its
 * server, and without an id a destroy would not delete it. What is in Kubernetes needs none: it goes
 * with its namespace. Throws what a system that cannot be asked throws; the state is then as it was.
 */
export async function takeUpCutShort(stack: Stack): Promise<void> {
  const exported = await stack.exportStack();
  const state = exported.deployment as State | null;
  const known = new Set(state?.resources?.map(({ urn }) => urn));
  const begun = (state?.pending_operations ?? [])
    .filter(({ type, resource }) => type === "creating" && !known.has(resource.urn))
    .flatMap(({ resource }) => {
      const module = moduleOf(resource);
      return module === undefined ? [] : { resource, module };
    });
  if (begun.length === 0) return;
  const made = await Promise.all(
    begun.map(async ({ resource, module }) => ({ resource, id: await find(module, resource) })),
  );
  // Of what is pending an import keeps nothing: all of it must be known by now.
  await stack.importStack({
    ...exported,
    deployment: {
      ...state,
      resources: [
        ...(state?.resources ?? []),
        ...made.flatMap(({ resource, id }) => (id === undefined ? [] : withId(resource, id))),
      ],
    },
  });
}

/** As the engine keeps one whose create failed half way. */
function withId(resource: Pending["resource"], id: string): object {
  return { ...resource, id, outputs: resource.inputs, initErrors: ["its engine was killed"] };
}

async function find(module: string, { inputs }: Pending["resource"]): Promise<string | undefined> {
  const { provider } = (await import(`rdev-infra/providers/${module}`)) as {
    readonly provider: {
      find(inputs: Readonly<Record<string, unknown>>): Promise<string | undefined>;
    };
  };
  return provider.find(inputs ?? {});
}

/** The module that the state refers to for a provider's code; undefined where it is not one of ours. */
function moduleOf({ inputs }: Pending["resource"]): string | undefined {
  const reference = inputs?.["__provider"];
  if (typeof reference !== "string") return undefined;
  return /\("rdev-infra\/providers\/([\w/-]+)"\)/.exec(reference)?.[1];
}
