/** Calls for objects of every kind that the API server serves. */
import { UnknownKindError } from "./api-error.ts";
import type { Client } from "./client.ts";
import { metadataOf, type Identity } from "./identity.ts";
import { textOf, type Json, type Properties } from "../values.ts";

export interface WriteOptions {
  readonly fieldManager: string;
  /** Validates and answers without changing anything. */
  readonly dryRun: boolean;
}

export interface Api {
  get(identity: Identity): Promise<Properties>;
  /** Fails if the object exists. */
  create(object: Properties, options: WriteOptions): Promise<Properties>;
  /** Server-side apply. `force` takes over fields of other managers. */
  apply(object: Properties, options: WriteOptions & { force: boolean }): Promise<Properties>;
  /** Replaces the records of who manages which fields. */
  setManagedFields(object: Properties, managedFields: Json): Promise<Properties>;
  delete(identity: Identity, propagationPolicy: string): Promise<void>;
  /** Lists by label or field selector. */
  list(
    of: { apiVersion: string; kind: string; namespace: string },
    query: Record<string, string>,
  ): Promise<Properties[]>;
}

interface Discovered {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export function makeApi(client: Client): Api {
  const known = new Map<string, Promise<readonly Discovered[]>>();

  function discover(apiVersion: string): Promise<readonly Discovered[]> {
    const cached = known.get(apiVersion);
    if (cached !== undefined) return cached;
    const found = client
      .send({ method: "GET", path: rootOf(apiVersion) })
      .then(({ resources }) => (resources ?? []) as unknown as Discovered[]);
    known.set(apiVersion, found);
    found.catch(() => known.delete(apiVersion));
    return found;
  }

  async function collectionOf({ apiVersion, kind, namespace }: Omit<Identity, "name">) {
    const resources = await discover(apiVersion).catch((error: unknown) => {
      throw error instanceof Error && "code" in error && error.code === 404
        ? unknownKind(apiVersion, kind)
        : error;
    });
    const resource = resources.find((item) => item.kind === kind && !item.name.includes("/"));
    if (resource === undefined) {
      // The same run may still create the definition of a custom kind.
      known.delete(apiVersion);
      throw unknownKind(apiVersion, kind);
    }
    const scope = resource.namespaced
      ? `namespaces/${encodeURIComponent(namespace ?? client.cluster.namespace)}/`
      : "";
    return `${rootOf(apiVersion)}/${scope}${resource.name}`;
  }

  const pathOf = async (identity: Identity) =>
    `${await collectionOf(identity)}/${encodeURIComponent(identity.name)}`;

  const identified = (object: Properties): Identity => ({
    apiVersion: textOf(object["apiVersion"]),
    kind: textOf(object["kind"]),
    namespace: metadataOf(object).namespace,
    name: metadataOf(object).name ?? "",
  });

  const queryOf = ({ fieldManager, dryRun }: WriteOptions) => ({
    fieldManager,
    ...(dryRun && { dryRun: "All" }),
  });

  return {
    get: async (identity) => client.send({ method: "GET", path: await pathOf(identity) }),
    create: async (object, options) =>
      client.send({
        method: "POST",
        path: await collectionOf(identified(object)),
        query: queryOf(options),
        body: object,
      }),
    apply: async (object, options) =>
      client.send({
        method: "PATCH",
        path: await pathOf(identified(object)),
        query: { ...queryOf(options), force: String(options.force) },
        contentType: "application/apply-patch+yaml",
        body: object,
      }),
    setManagedFields: async (object, value) =>
      client.send({
        method: "PATCH",
        path: await pathOf(identified(object)),
        contentType: "application/json-patch+json",
        body: [
          { op: "replace", path: "/metadata/managedFields", value },
          // Makes the server refuse the patch if the object changed meanwhile.
          {
            op: "replace",
            path: "/metadata/resourceVersion",
            value: metadataOf(object).resourceVersion,
          },
        ],
      }),
    delete: async (identity, propagationPolicy) => {
      await client.send({
        method: "DELETE",
        path: await pathOf(identity),
        body: { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy },
      });
    },
    list: async (of, query) => {
      const path = await collectionOf(of);
      const { items } = await client.send({ method: "GET", path, query });
      return (items ?? []) as Properties[];
    },
  };
}

const rootOf = (apiVersion: string): string =>
  apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;

const unknownKind = (apiVersion: string, kind: string) =>
  new UnknownKindError(
    `the Kubernetes API server has no kind "${kind}" in ${apiVersion}: ` +
      "has its CustomResourceDefinition been created?",
  );
