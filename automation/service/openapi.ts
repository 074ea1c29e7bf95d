import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { jsonSchemaTransform, jsonSchemaTransformObject } from "fastify-type-provider-zod";

const DESCRIPTION = `Creates and destroys the infrastructure of projects, and reports their status.

Work that takes time is an operation: the service answers a request at once with 202, and the client
follows the operation at its Location, live as a stream of events. A project has one running operation
at a time.

Every problem is answered as application/problem+json (RFC 9457) with a stable code.`;

/** Serves the OpenAPI document, which is generated from the schemas that validate requests. */
export async function serveOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "rdev-infra",
        version: "1.0.0",
        description: DESCRIPTION,
        license: { name: "Proprietary", identifier: "LicenseRef-Proprietary" },
      },
      servers: [{ url: "http://127.0.0.1:8080", description: "The address of npm run service." }],
      tags: [
        { name: "projects", description: "Projects: their settings, status and outputs." },
        { name: "operations", description: "Operations: their progress and outcome." },
        { name: "rollouts", description: "Rollouts: many projects brought up in waves." },
        { name: "registry", description: "Tokens for the image registry, by Docker's scheme." },
        { name: "audit", description: "The audit trail." },
        { name: "sign-in", description: "Sign-in of people, and the caller." },
        { name: "health", description: "Health and metrics of the service." },
        { name: "problems", description: "The meaning of problem codes." },
      ],
      components: {
        securitySchemes: {
          key: {
            type: "http",
            scheme: "bearer",
            description: "A key from `rdev-infra keys create`: rdk_….",
          },
          token: {
            type: "http",
            scheme: "bearer",
            bearerFormat: "JWT",
            description:
              "A person's ID token from the OpenID Connect provider, or a Kubernetes ServiceAccount's " +
              "token for the service's audience.",
          },
          session: {
            type: "apiKey",
            in: "cookie",
            name: "__Host-rdev-session",
            description:
              "The session of a person who signed in at /auth/sign-in. A write must come from a page of " +
              "the service. Without HTTPS the name is rdev-session.",
          },
          registryAccount: {
            type: "http",
            scheme: "basic",
            description: "An account of the image registry. Each project's pipeline has one.",
          },
        },
      },
      security: [{ key: [] }, { token: [] }, { session: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => tidyDocument(jsonSchemaTransformObject(document)),
  });
  app.get("/openapi.json", { config: { access: "open" }, schema: { hide: true } }, async () =>
    app.swagger(),
  );
}

type Json = Record<string, unknown>;

const REF = "#/components/schemas/";
const SAFE_INTEGERS = new Set<unknown>([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);

/** Makes the generated document readable: unused components and redundant keywords are removed. */
function tidyDocument<T extends object>(document: T): T {
  const tidy = withoutRedundancy(document) as Json;
  const components = tidy["components"] as Json;
  const schemas = components["schemas"] as Record<string, unknown>;
  const used = usedNames(tidy["paths"], schemas);
  // The plugin appends "Input" to every schema of a request, also if no schema of a response differs.
  const nameOf = (name: string) => {
    const short = name.replace(/Input$/, "");
    return used.has(short) ? name : short;
  };
  const kept = [...used].sort().map((name) => [nameOf(name), schemas[name]]);
  return withNames(
    { ...tidy, components: { ...components, schemas: Object.fromEntries(kept) as Json } },
    nameOf,
  ) as T;
}

function usedNames(paths: unknown, schemas: Record<string, unknown>): Set<string> {
  const used = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value as Json)) {
      if (key !== "$ref" || typeof inner !== "string") visit(inner);
      else if (inner.startsWith(REF)) {
        const name = inner.slice(REF.length);
        if (!used.has(name)) {
          used.add(name);
          visit(schemas[name]);
        }
      }
    }
  };
  visit(paths);
  return used;
}

function withNames(value: unknown, nameOf: (name: string) => string): unknown {
  return mapMembers(value, (key, inner) =>
    key === "$ref" && typeof inner === "string" && inner.startsWith(REF)
      ? REF + nameOf(inner.slice(REF.length))
      : withNames(inner, nameOf),
  );
}

function withoutRedundancy(value: unknown): unknown {
  const { format, type } = (value ?? {}) as Json;
  const isRedundant = (key: string, inner: unknown) =>
    (key === "pattern" && (format === "date-time" || format === "uuid")) ||
    ((key === "minimum" || key === "maximum") && type === "integer" && SAFE_INTEGERS.has(inner)) ||
    (key === "propertyNames" && type === "object");
  return mapMembers(value, (key, inner) =>
    isRedundant(key, inner) ? undefined : withoutRedundancy(inner),
  );
}

/** Replaces every member by the result of `change`; undefined removes it. */
function mapMembers(value: unknown, change: (key: string, inner: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((inner, index) => change(String(index), inner));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      const changed = change(key, inner);
      return changed === undefined ? [] : [[key, changed]];
    }),
  );
}
