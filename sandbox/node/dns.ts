import { type KubeConfig, KubernetesObjectApi } from "@kubernetes/client-node";
import { DNS_IMAGE } from "./pod-images.ts";
import { workloadObjects, workloadRuns } from "./workload.ts";

/** The address of the cluster's DNS server. */
export const DNS_ADDRESS = "10.96.0.10";

const NAMESPACE = "kube-system";
const NAME = "coredns";
const LABELS = { "k8s-app": "kube-dns" };

/** No pod reaches a server outside, so no other name exists. Without an answer, clients would retry. */
const CLUSTER_NAMES = `cluster.local in-addr.arpa ip6.arpa {
  errors
  health
  ready
  kubernetes cluster.local in-addr.arpa ip6.arpa
  cache 30
}
. {
  errors
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`;

/** A domain whose names all have one address, as with a wildcard record. */
export interface Zone {
  readonly domain: string;
  readonly address: string;
}

function zoneNames({ domain, address }: Zone): string {
  return `${domain} {
  errors
  template IN A {
    answer "{{ .Name }} 60 IN A ${address}"
  }
  template ANY ANY {
    rcode NOERROR
  }
}
`;
}

/** Creates CoreDNS in the cluster. */
export async function applyDns(admin: KubeConfig, zone?: Zone): Promise<void> {
  const objects = KubernetesObjectApi.makeApiClient(admin);
  const corefile = CLUSTER_NAMES + (zone ? zoneNames(zone) : "");
  for (const object of manifests(corefile)) await objects.create(object);
}

/** Resolves when the cluster's DNS answers. */
export function dnsRuns(admin: KubeConfig): Promise<void> {
  return workloadRuns(admin, { name: NAME, namespace: NAMESPACE });
}

function manifests(corefile: string) {
  const metadata = { name: NAME, namespace: NAMESPACE, labels: LABELS };
  const verbs = ["list", "watch"];
  return [
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { Corefile: corefile } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { ...metadata, name: "kube-dns" },
      spec: {
        clusterIP: DNS_ADDRESS,
        selector: LABELS,
        ports: [
          { name: "dns", port: 53, protocol: "UDP" },
          { name: "dns-tcp", port: 53, protocol: "TCP" },
        ],
      },
    },
    ...workloadObjects({
      ...metadata,
      role: "system:coredns",
      rules: [
        { apiGroups: [""], resources: ["endpoints", "services", "pods", "namespaces"], verbs },
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs },
      ],
      pod: podSpec(),
    }),
  ];
}

function podSpec() {
  return {
    priorityClassName: "system-cluster-critical",
    // Its own queries must not go to itself.
    dnsPolicy: "Default",
    containers: [
      {
        name: NAME,
        image: DNS_IMAGE,
        imagePullPolicy: "Never",
        args: ["-conf", "/etc/coredns/Corefile"],
        readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1 },
        livenessProbe: { httpGet: { path: "/health", port: 8080 }, periodSeconds: 10 },
        resources: { requests: { cpu: "20m", memory: "40Mi" }, limits: { memory: "170Mi" } },
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { add: ["NET_BIND_SERVICE"], drop: ["ALL"] },
          readOnlyRootFilesystem: true,
        },
        volumeMounts: [{ name: "config", mountPath: "/etc/coredns", readOnly: true }],
      },
    ],
    volumes: [{ name: "config", configMap: { name: NAME } }],
  };
}
