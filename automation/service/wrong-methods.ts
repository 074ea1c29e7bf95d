import type { FastifyInstance } from "fastify";
import { InfraError } from "../../core/errors.ts";

/**
 * Answers 405 with `Allow` if a route exists, but not for the method. Call it before the routes are
 * registered, and the function that it returns after them.
 */
export function refuseWrongMethods(app: FastifyInstance): () => void {
  const routes = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }) => {
    const methods = routes.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    routes.set(url, methods);
  });
  return () => {
    for (const [url, methods] of [...routes]) {
      const allowed = [...methods].sort().join(", ");
      app.route({
        url,
        method: app.supportedMethods.filter((one) => !methods.has(one)),
        schema: { hide: true },
        config: { access: "open" },
        // Before the body is read: containerd posts a form first, and uses GET after a 405.
        onRequest: async (request, reply) => {
          reply.header("allow", allowed);
          throw new InfraError(
            "RDEV_METHOD",
            `The method ${request.method} is not allowed; allowed: ${allowed}.`,
          );
        },
        handler: async () => undefined,
      });
    }
  };
}
