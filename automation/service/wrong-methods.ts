import type { FastifyInstance } from "fastify";
import { InfraError } from "../../core/errors.ts";

/** Answers 405 with `Allow` where an address exists, but not with that method. */
export function refuseWrongMethods(app: FastifyInstance): () => void {
  const routes = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }) => {
    const methods = routes.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    routes.set(url, methods);
  });
  return () => {
    for (const [url, there] of [...routes]) {
      const allowed = [...there].sort().join(", ");
      const method = app.supportedMethods.filter((one) => !there.has(one));
      app.route({
        ...{ url, method, schema: { hide: true }, config: { access: "open" } },
        // Before the body is read: containerd sends a form, and asks by GET only after a 405.
        onRequest: async (request, reply) => {
          reply.header("allow", allowed);
          throw new InfraError(
            "RDEV_METHOD",
            `${request.method} does not go here; what goes: ${allowed}.`,
          );
        },
        handler: async () => undefined,
      });
    }
  };
}
