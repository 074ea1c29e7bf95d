import * as pulumi from "@pulumi/pulumi";
import { isLoopback } from "../core/address.ts";
import { connections } from "../core/connections.ts";
import type { PlatformSettings } from "../core/settings.ts";

/**
 * Warns where a project's pods would be given this machine's own address: without a setting they get
 * the administrator's, which may be a port-forward.
 */
export function warnOfLoopback(settings: PlatformSettings): void {
  const { postgres, redis } = connections(["postgres", "redis"]);
  const routes = [
    ["databaseAddress", "DATABASE_URL", "POSTGRES_ADMIN_URL", postgres.url],
    ["cacheAddress", "REDIS_URL", "REDIS_ADMIN_URL", redis.url],
  ] as const;
  for (const [setting, given, source, url] of routes) {
    const { hostname } = new URL(url);
    if (settings[setting] ?? !isLoopback(hostname)) continue;
    void pulumi.log.warn(
      `${source} leads to ${hostname || "this machine"}, and pods get host and port of their ` +
        `${given} from it: they would look for the server in themselves. Set rdev:${setting} ` +
        "on the platform's stack to where pods reach it, and bring the platform up.",
    );
  }
}
