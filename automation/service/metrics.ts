import type { FastifyInstance } from "fastify";
import { Histogram, type Registry } from "prom-client";

/** Measures requests: by route, not by address, so that there are only so many series. */
export function measureRequests(app: FastifyInstance, registry: Registry): void {
  const duration = new Histogram({
    name: "rdev_http_request_duration_seconds",
    help: "How long requests took, streams of events left out.",
    labelNames: ["method", "route", "status"],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  app.addHook("onResponse", async ({ method, routeOptions }, reply) => {
    if (routeOptions.config.streams) return;
    const labels = { method, route: routeOptions.url ?? "unknown", status: reply.statusCode };
    duration.observe(labels, reply.elapsedTime / 1000);
  });
}
