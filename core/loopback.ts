import { isLoopback } from "./address.ts";
import type { PlatformSettings } from "./settings.ts";

/** An address that pods, nodes or visitors get, and that leads them to themselves. */
export interface LoopbackAddress {
  readonly host: string;
  /** Where the address comes from: a variable or a setting. */
  readonly source: string;
  /** The programs or people that get the address: `the projects' pods`. */
  readonly user: string;
  /** The setting or variable to change. */
  readonly remedy: string;
}

export interface AddressSources {
  readonly postgres: string;
  readonly redis: string;
  /** Undefined without Citadel. */
  readonly citadel?: string;
}

type Addresses = Pick<
  PlatformSettings,
  "databaseAddress" | "cacheAddress" | "kubernetesApi" | "registry" | "ingressAddress"
>;

/** The loopback addresses that a platform would hand out. `sources` are the URLs in the variables. */
export function loopbackAddresses(settings: Addresses, sources: AddressSources): LoopbackAddress[] {
  const { kubernetesApi, registry, ingressAddress } = settings;
  const given = [
    ...(sources.citadel === undefined
      ? []
      : [entry(hostOf(sources.citadel), "CITADEL_URL", "the log agent's pods", "CITADEL_URL")]),
    entry(hostOf(kubernetesApi), "rdev:kubernetesApi", "pipelines", "rdev:kubernetesApi"),
    entry(hostOf(`http://${registry}`), "rdev:registry", "the cluster's nodes", "rdev:registry"),
    entry(ingressAddress, "rdev:ingressAddress", "visitors (by DNS)", "rdev:ingressAddress"),
  ];
  return [
    ...loopbackDataServices(settings, sources),
    ...given.filter(({ host }) => isLoopback(host)),
  ];
}

/**
 * The loopback addresses of PostgreSQL and Redis. Without a setting, pods get the address in the
 * administrator's URL, which may be a port-forward on this machine.
 */
export function loopbackDataServices(
  { databaseAddress, cacheAddress }: Pick<Addresses, "databaseAddress" | "cacheAddress">,
  { postgres, redis }: Pick<AddressSources, "postgres" | "redis">,
): LoopbackAddress[] {
  return [
    dataService("databaseAddress", databaseAddress, "POSTGRES_ADMIN_URL", postgres),
    dataService("cacheAddress", cacheAddress, "REDIS_ADMIN_URL", redis),
  ].filter(({ host }) => isLoopback(host));
}

function dataService(
  setting: "databaseAddress" | "cacheAddress",
  own: { readonly host: string } | undefined,
  variable: string,
  url: string,
): LoopbackAddress {
  const source = own ? `rdev:${setting}` : variable;
  return entry(own?.host ?? hostOf(url), source, "the projects' pods", `rdev:${setting}`);
}

function entry(host: string, source: string, user: string, remedy: string): LoopbackAddress {
  return { host, source, user, remedy };
}

function hostOf(url: string): string {
  return new URL(url).hostname;
}
