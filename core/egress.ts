import { z } from "zod";

/** A cloud's metadata service uses these addresses. It hands out the node's credentials. */
const LINK_LOCAL = { v4: ["169.254.0.0/16"], v6: ["fe80::/10"] } as const;

/** The addresses of nodes, pods and services in almost every cluster: RFC 1918, 6598 and 4193. */
const PRIVATE = {
  v4: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"],
  v6: ["fc00::/7"],
} as const;

const ANYWHERE = { v4: "0.0.0.0/0", v6: "::/0" } as const;
const DNS_PORT = 53;

const cidr = z.union([z.cidrv4(), z.cidrv6()], "is not a range of addresses, such as 10.0.0.0/8");

/** The setting for the addresses that the pods of projects may connect to. */
export const egress = z.strictObject({
  /** The ranges that pods may not connect to: those of the nodes and of the cluster. */
  closed: z.array(cidr).default([...LINK_LOCAL.v4, ...PRIVATE.v4, ...LINK_LOCAL.v6, ...PRIVATE.v6]),
  /** Exceptions in these ranges. Without a port, all ports are open. */
  open: z
    .array(
      z.strictObject({
        cidr,
        port: z.int().min(1).max(65_535).optional(),
        protocol: z.enum(["TCP", "UDP"]).default("TCP"),
      }),
    )
    .default([]),
  /** The namespace of the cluster's DNS. */
  dnsNamespace: z.string().min(1).default("kube-system"),
});

export type Egress = z.output<typeof egress>;

/** A server whose address a project's pods get. */
export interface DataService {
  readonly host: string;
  readonly port: number;
}

interface Peer {
  readonly ipBlock?: { readonly cidr: string; readonly except?: string[] };
  readonly podSelector?: object;
  readonly namespaceSelector?: { readonly matchLabels: Record<string, string> };
}

/** An element of a NetworkPolicy's `egress`. */
interface EgressRule {
  readonly to: Peer[];
  readonly ports?: { readonly protocol: "TCP" | "UDP"; readonly port: number }[];
}

/**
 * The rules for the pods of a project. They may connect to each other, to the cluster's DNS, to the
 * data services, to what the platform opens, and to every address that it does not close.
 */
export function egressRules(
  { closed, open, dnsNamespace }: Egress,
  services: readonly DataService[],
): EgressRule[] {
  const anywhere = [...outside("v4", closed), ...outside("v6", closed)];
  return [
    { to: [{ podSelector: {} }] },
    {
      to: [
        {
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": dnsNamespace } },
          podSelector: {},
        },
      ],
      ports: [
        { protocol: "UDP", port: DNS_PORT },
        { protocol: "TCP", port: DNS_PORT },
      ],
    },
    ...services.map(({ host, port }) => ({
      to: addressesOf(host),
      ports: [{ protocol: "TCP" as const, port }],
    })),
    ...open.map(({ cidr: range, port, protocol }) => ({
      to: [{ ipBlock: { cidr: range } }],
      ...(port !== undefined && { ports: [{ protocol, port }] }),
    })),
    ...(anywhere.length > 0 ? [{ to: anywhere }] : []),
  ];
}

/**
 * The rules for the service's pods: every address except the link-local ones, where a cloud hands out the
 * node's credentials, and what the platform opens there.
 */
export function serviceEgressRules({ open, dnsNamespace }: Egress): EgressRule[] {
  return egressRules({ open, dnsNamespace, closed: [...LINK_LOCAL.v4, ...LINK_LOCAL.v6] }, []);
}

/**
 * A NetworkPolicy cannot contain names, and a name may resolve to other addresses later. So for a
 * service with a name, its port is open at every address except the link-local ones.
 */
function addressesOf(host: string): Peer[] {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  if (z.ipv4().safeParse(bare).success) return [{ ipBlock: { cidr: `${bare}/32` } }];
  if (z.ipv6().safeParse(bare).success) return [{ ipBlock: { cidr: `${bare}/128` } }];
  return [...outside("v4", LINK_LOCAL.v4), ...outside("v6", LINK_LOCAL.v6)];
}

/** All addresses of a family except the closed ranges. Kubernetes refuses to exclude all of them. */
function outside(family: "v4" | "v6", closed: readonly string[]): Peer[] {
  const except = closed.filter((range) => range.includes(":") === (family === "v6"));
  if (except.some((range) => range.endsWith("/0"))) return [];
  return [{ ipBlock: { cidr: ANYWHERE[family], ...(except.length > 0 && { except }) } }];
}
