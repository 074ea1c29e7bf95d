import { AppsV1Api, type KubeConfig, KubernetesObjectApi } from "@kubernetes/client-node";
import { until } from "../process.ts";
import { DNS_IMAGE } from "./pod-images.ts";

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
export async function dnsRuns(admin: KubeConfig): Promise<void> {
  const apps = admin.makeApiClient(AppsV1Api);
  await until(async () => {
    const { status } = await apps.readNamespacedDeployment({ namespace: NAMESPACE, name: NAME });
    if (status?.readyReplicas !== 1) throw new Error("CoreDNS is not ready");
  });
}

function manifests(corefile: string) {
  const metadata = { name: NAME, namespace: NAMESPACE, labels: LABELS };
  const subject = { kind: "ServiceAccount", name: NAME, namespace: NAMESPACE };
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "system:coredns" },
      rules: [
        {
          apiGroups: [""],
          resources: ["endpoints", "services", "pods", "namespaces"],
          verbs: ["list", "watch"],
        },
        {
          apiGroups: ["discovery.k8s.io"],
          resources: ["endpointslices"],
          verbs: ["list", "watch"],
        },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "system:coredns" },
      roleRef: {
        apiGroup: "rbac.authorization.k8s.io",
        kind: "ClusterRole",
        name: "system:coredns",
      },
      subjects: [subject],
    },
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
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: LABELS },
        template: { metadata: { labels: LABELS }, spec: podSpec() },
      },
    },
  ];
}

function podSpec() {
  return {
    serviceAccountName: NAME,
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
