import { lookup } from "node:dns/promises";
import { labelIn } from "../../core/address.ts";
import type { ServiceSettings } from "../../core/service-settings.ts";
import { loopbackVariables, serviceVariables } from "../../core/service-variables.ts";
import type { PlatformSettings } from "../../core/settings.ts";
import {
  type Check,
  failed,
  type Finding,
  ok,
  skipped,
  warning,
  withSettings,
} from "../../providers/check.ts";

/** The line for a platform whose settings do not install the service. */
export const NOT_INSTALLED = failed(
  "rdev:service is not set, so an up does not install the service",
  "Set rdev:service to its image and host (docs/install.md).",
);

/** What the service in the cluster needs of the variables and the settings. */
export const serviceChecks: readonly Check[] = [
  check("variables", async (service) => {
    const { variables } = serviceVariables(service);
    return ok(`its Secret gets ${Object.keys(variables).length}`);
  }),
  check("addresses", async () => {
    const found = loopbackVariables();
    if (found.length === 0) return ok("none is a pod's own");
    return failed(
      `a pod would take these for itself: ${found.join(", ")}`,
      "Set RDEV_INFRA_SERVICE_<name> to the address that pods use.",
    );
  }),
  check("migration", async (service) => {
    const { ownerUrl } = serviceVariables(service);
    if (ownerUrl !== undefined) return ok("by a Job, as the role of DATABASE_OWNER_URL");
    return warning(
      "DATABASE_OWNER_URL is not set, so an up does not migrate the database",
      "Set it, or run rdev-infra store migrate before each new version.",
    );
  }),
  check("host", async ({ host }, { domain, ingressAddress }) => {
    if (labelIn(host, domain) !== undefined) return ok(`the up makes the record ${host}`);
    const address = await lookup(host).catch(() => undefined);
    if (address) return ok(`${host} is ${address.address}`);
    return warning(`${host} has no address`, `Make a DNS record that points to ${ingressAddress}.`);
  }),
];

function check(
  name: string,
  run: (service: ServiceSettings, settings: PlatformSettings) => Promise<Finding>,
): Check {
  return {
    system: "Service",
    name,
    needs: [],
    run: withSettings(async (settings) =>
      settings.service ? run(settings.service, settings) : skipped("rdev:service is not set"),
    ),
  };
}
