/** Reads the objects of a hand-made project, and says what the project's own would drop of them. */
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { workloadLabels } from "../../core/labels.ts";
import type { Kubernetes } from "./client.ts";

/** The environment variables that the platform gives every project. */
const GIVEN: readonly string[] = ["PORT", "DATABASE_URL", "REDIS_URL"];

const reference = z.object({ name: z.string().default("") });

const container = z.looseObject({
  name: z.string(),
  image: z.string().default(""),
  env: z.array(z.object({ name: z.string() })).optional(),
  envFrom: z
    .array(z.object({ secretRef: reference.optional(), configMapRef: reference.optional() }))
    .optional(),
});

const deployment = z
  .object({
    metadata: z.object({ uid: z.string() }),
    spec: z.object({
      replicas: z.int().default(1),
      selector: z.object({ matchLabels: z.record(z.string(), z.string()).optional() }),
      template: z.object({
        spec: z.looseObject({
          containers: z.array(container),
          initContainers: z.array(container).optional(),
          volumes: z.array(z.object({ name: z.string() })).optional(),
        }),
      }),
    }),
  })
  .transform(({ metadata, spec: { replicas, selector, template } }) => ({
    uid: metadata.uid,
    replicas,
    selector: selector.matchLabels ?? {},
    ...template.spec,
  }));

export type ExistingDeployment = z.output<typeof deployment> & {
  /** Its selector cannot become the project's. */
  readonly isReplaced: boolean;
};

/** The Deployment that has the project's name. */
export async function deploymentIn(
  kubernetes: Kubernetes,
  slug: string,
): Promise<ExistingDeployment | undefined> {
  const found = await named(kubernetes, slug, ["apps/v1", "Deployment"], deployment);
  return (
    found && { ...found, isReplaced: !isDeepStrictEqual(found.selector, workloadLabels(slug)) }
  );
}

/** The object of a kind that has the project's name. */
async function named<T>(
  kubernetes: Kubernetes,
  slug: string,
  [apiVersion, kind]: readonly [apiVersion: string, kind: string],
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  const object = await kubernetes.find({ apiVersion, kind, namespace: slug, name: slug });
  return object && schema.parse(object);
}

/** What its pods have and a project's pods cannot have, each with what to do. */
export async function lostByDeployment(
  kubernetes: Kubernetes,
  namespace: string,
  { containers, initContainers = [], volumes = [] }: ExistingDeployment,
): Promise<string[]> {
  const [app, ...more] = containers;
  const variables = app ? await variablesOf(kubernetes, namespace, app) : [];
  const other = variables.filter((name) => !GIVEN.includes(name));
  const overrides = ["command", "args"].filter((field) => app?.[field] !== undefined);
  const lost: readonly (readonly [noun: string, names: readonly string[], remedy: string])[] = [
    ["the container", more.map(({ name }) => name), "A project has one container"],
    ["the init container", initContainers.map(({ name }) => name), "Move its work into the image"],
    ["the volume", volumes.map(({ name }) => name), "Move its data into the database"],
    ["the environment variable", other, "Move its value into the image"],
    ["its own", overrides, "Move it into the image"],
  ];
  return lost
    .filter(([, names]) => names.length > 0)
    .map(([noun, names, remedy]) => `would lose ${noun} ${names.join(", ")}. ${remedy}.`);
}

/** The names of a container's environment variables. */
async function variablesOf(
  kubernetes: Kubernetes,
  namespace: string,
  { env = [], envFrom = [] }: z.output<typeof container>,
): Promise<string[]> {
  const sources = envFrom.flatMap(({ secretRef, configMapRef }) => [
    ...(secretRef ? [{ kind: "Secret", name: secretRef.name }] : []),
    ...(configMapRef ? [{ kind: "ConfigMap", name: configMapRef.name }] : []),
  ]);
  const keys = await Promise.all(
    sources.map(async (source) => {
      const found = await kubernetes.find({ apiVersion: "v1", namespace, ...source });
      return Object.keys(keyed.parse(found ?? {}).data);
    }),
  );
  return [...env.map(({ name }) => name), ...keys.flat()];
}

const keyed = z.object({ data: z.record(z.string(), z.unknown()).default({}) });

const service = z
  .object({
    spec: z.object({
      type: z.string().default("ClusterIP"),
      selector: z.record(z.string(), z.string()).default({}),
      ports: z
        .array(
          z.object({
            port: z.int(),
            targetPort: z.union([z.int(), z.string()]).optional(),
            protocol: z.string().default("TCP"),
          }),
        )
        .default([]),
    }),
  })
  .transform(({ spec }) => spec);

/** The Service that has the project's name. */
export function serviceIn(kubernetes: Kubernetes, slug: string) {
  return named(kubernetes, slug, ["v1", "Service"], service);
}

const ingress = z
  .object({
    spec: z.object({
      ingressClassName: z.string().default(""),
      rules: z
        .array(
          z.object({
            host: z.string().default("*"),
            http: z
              .object({
                paths: z.array(
                  z.object({
                    path: z.string().default("/"),
                    backend: z.object({ service: reference.optional() }),
                  }),
                ),
              })
              .optional(),
          }),
        )
        .default([]),
    }),
  })
  .transform(({ spec: { ingressClassName, rules } }) => ({
    ingressClass: ingressClassName,
    routes: rules.flatMap(({ host, http }) =>
      (http?.paths ?? []).map(({ path, backend }) => ({
        host,
        path,
        service: backend.service?.name ?? "",
      })),
    ),
  }));

type ExistingIngress = z.output<typeof ingress>;

/** The Ingress that has the project's name. */
export function ingressIn(
  kubernetes: Kubernetes,
  slug: string,
): Promise<ExistingIngress | undefined> {
  return named(kubernetes, slug, ["networking.k8s.io/v1", "Ingress"], ingress);
}

/** The routes that a project's Ingress has not: it has one, from its host to its Service. */
export function lostByIngress({ routes }: ExistingIngress, host: string): string[] {
  const lost = routes.filter((route) => route.host !== host || route.path !== "/");
  if (lost.length === 0) return [];
  const names = lost.map((route) => `${route.host}${route.path} → ${route.service}`);
  return [`would lose ${names.join(", ")}. Move it to an Ingress of another name.`];
}
