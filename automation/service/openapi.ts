import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { jsonSchemaTransform, jsonSchemaTransformObject } from "fastify-type-provider-zod";
import { tidyDocument } from "./tidy-document.ts";

const DESCRIPTION = `Creates and destroys the infrastructure of projects, and tells how they stand.

What takes time is an operation: a request is answered at once with 202, and the operation is followed
at its Location, live as a stream of events. One operation of a project runs at a time.

Every problem is answered as application/problem+json (RFC 9457) with a stable code.`;

/** The document of the API, made from the schemas that requests are checked with. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "rdev-infra",
        version: "1.0.0",
        description: DESCRIPTION,
        license: { name: "Proprietary", identifier: "LicenseRef-Proprietary" },
      },
      servers: [{ url: "http://127.0.0.1:8080", description: "As npm run service starts it." }],
      tags: [
        { name: "projects", description: "What is wanted, and what is there." },
        { name: "operations", description: "What was asked for, and what has become of it." },
        { name: "registry", description: "Tokens for the image registry, by Docker's scheme." },
        { name: "audit", description: "The record of all that was done." },
        { name: "health", description: "Of the service itself." },
        { name: "problems", description: "What the codes of problems mean." },
      ],
      components: {
        securitySchemes: {
          key: {
            type: "http",
            scheme: "bearer",
            description: "A key of `rdev-infra keys create`, as rdk_….",
          },
          registryAccount: {
            type: "http",
            scheme: "basic",
            description: "An account of the image registry, as a project's pipeline has one.",
          },
        },
      },
      security: [{ key: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => tidyDocument(jsonSchemaTransformObject(document)),
  });
  app.get("/openapi.json", { config: { access: "open" }, schema: { hide: true } }, async () =>
    app.swagger(),
  );
}
