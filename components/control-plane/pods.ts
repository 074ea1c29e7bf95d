import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { citadelLabels, type Labels, workloadLabels } from "../../core/labels.ts";
import type { ServiceSettings } from "../../core/service-settings.ts";
import { RESTRICTED_CONTAINER, RESTRICTED_POD } from "../restricted.ts";
import { FILES, fileVariables } from "./settings-files.ts";

/** The name of each of the service's objects in its namespace. */
export const NAME = "rdev-infra";

/** The port that the image listens on. */
export const PORT = 8080;

/** Labels of the service's pods, and not of the migration's: the Service and the policies select them. */
export const SERVICE_LABELS = workloadLabels(NAME, "service");

/**
 * Seconds in which a pod that ends still answers, because the ingress and the nodes learn of its end
 * later than it does. Traefik takes up changes every 2 s, and later where its node is busy.
 */
const PRE_STOP_S = 10;

/**
 * Seconds. Longer than PRE_STOP_S, the 25 s in which the service completes its running operations, the 10 s
 * after which it kills their workers, and the 5 s in which it closes its connections.
 */
const TERMINATION_GRACE_S = 60;

/** The group of the volumes, so that the user of the image can write to them. */
export const GROUP = 65_532;

/** The folders that the image declares as volumes. */
const FOLDERS = {
  home: "/home/nonroot",
  pulumi: "/opt/pulumi/rdev-infra",
  workspaces: "/opt/pulumi/workspaces",
  tmp: "/tmp",
} as const;

const AUTHORITIES = "/etc/rdev-infra-authorities";
export const AUTHORITIES_FILE = "ca.crt";

/** What every pod of the service needs, also the ones of its Jobs. */
export interface PodArgs {
  readonly image: string;
  /** The Secret with the pod's variables. */
  readonly secret: pulumi.Input<string>;
  /** The Secret with the account that pulls the image. */
  readonly pullSecret: pulumi.Input<string> | undefined;
  /** The ConfigMap with the private authorities that it trusts. */
  readonly authorities: pulumi.Input<string> | undefined;
}

export interface PodsArgs extends Omit<PodArgs, "image"> {
  readonly platform: string;
  readonly settings: ServiceSettings;
  readonly account: pulumi.Input<string>;
  /** The ConfigMap with the files of the settings. */
  readonly files: pulumi.Input<string> | undefined;
}

/** The spec of the service's Deployment. */
export function deploymentSpec(args: PodsArgs): k8s.types.input.apps.v1.DeploymentSpec {
  const { replicas } = args.settings;
  return {
    replicas,
    revisionHistoryLimit: 3,
    selector: { matchLabels: SERVICE_LABELS },
    // The new version is ready before the old one stops.
    strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    template: {
      metadata: { labels: podLabels(SERVICE_LABELS) },
      spec: {
        serviceAccountName: args.account,
        ...pulledWith(args),
        automountServiceAccountToken: true,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: TERMINATION_GRACE_S,
        securityContext: { ...RESTRICTED_POD, fsGroup: GROUP },
        affinity: {
          podAntiAffinity: {
            // Preferred, so that a cluster of one node can run all replicas.
            preferredDuringSchedulingIgnoredDuringExecution: [
              {
                weight: 100,
                podAffinityTerm: {
                  labelSelector: { matchLabels: SERVICE_LABELS },
                  topologyKey: "kubernetes.io/hostname",
                },
              },
            ],
          },
        },
        containers: [serviceContainer(args)],
        volumes: [
          ...folders().volumes,
          ...trust(args).volumes,
          ...(args.files === undefined
            ? []
            : [{ name: "settings", configMap: { name: args.files } }]),
        ],
      },
    },
  };
}

function serviceContainer({
  platform,
  settings,
  secret,
  files,
  authorities,
}: PodsArgs): k8s.types.input.core.v1.Container {
  const env = {
    RDEV_INFRA_PLATFORM: platform,
    RDEV_INFRA_CONCURRENCY: String(settings.concurrency),
    RDEV_INFRA_TRUSTED_PROXIES: settings.trustedProxies.join(","),
    ...fileVariables(settings),
    ...(!settings.ownApproval && { RDEV_INFRA_OWN_APPROVAL: "false" }),
  };
  const { cpuRequest, cpuLimit, memoryRequest, memoryLimit } = settings;
  return {
    name: "service",
    image: settings.image,
    ports: [{ name: "http", containerPort: PORT }],
    env: [
      ...Object.entries(env).map(([name, value]) => ({ name, value })),
      ...trust({ authorities }).env,
    ],
    envFrom: [{ secretRef: { name: secret } }],
    lifecycle: { preStop: { sleep: { seconds: PRE_STOP_S } } },
    startupProbe: { httpGet: { path: "/healthz", port: "http" }, failureThreshold: 60 },
    livenessProbe: { httpGet: { path: "/healthz", port: "http" }, timeoutSeconds: 5 },
    // The service gives the database 3 s to answer.
    readinessProbe: {
      httpGet: { path: "/readyz", port: "http" },
      periodSeconds: 5,
      timeoutSeconds: 5,
    },
    resources: {
      requests: { cpu: cpuRequest, memory: memoryRequest },
      limits: { cpu: cpuLimit, memory: memoryLimit },
    },
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [
      ...folders().volumeMounts,
      ...trust({ authorities }).volumeMounts,
      ...(files === undefined ? [] : [{ name: "settings", mountPath: FILES, readOnly: true }]),
    ],
  };
}

/** The log agent sends the output to the platform's environment, because the label names no other. */
export function podLabels(labels: Labels): Labels {
  return { ...labels, ...citadelLabels(NAME) };
}

/** The account that pulls the image. */
export function pulledWith({ pullSecret }: Pick<PodArgs, "pullSecret">) {
  return pullSecret === undefined ? {} : { imagePullSecrets: [{ name: pullSecret }] };
}

/**
 * Makes a pod trust private authorities, besides the public ones in its image: Node.js, Go (Pulumi and
 * its plugins) and git.
 */
export function trust({ authorities }: Pick<PodArgs, "authorities">) {
  if (authorities === undefined) return { env: [], volumes: [], volumeMounts: [] };
  const name = "authorities";
  return {
    env: [
      { name: "NODE_EXTRA_CA_CERTS", value: `${AUTHORITIES}/${AUTHORITIES_FILE}` },
      // The public ones are in a file, which both read all the same.
      { name: "SSL_CERT_DIR", value: AUTHORITIES },
      { name: "GIT_SSL_CAPATH", value: AUTHORITIES },
    ],
    volumes: [{ name, configMap: { name: authorities } }],
    volumeMounts: [{ name, mountPath: AUTHORITIES, readOnly: true }],
  };
}

/** The folders that the image writes to, which are empty when a pod starts. */
export function folders() {
  const all = Object.entries(FOLDERS);
  return {
    volumes: all.map(([name]) => ({ name, emptyDir: {} })),
    volumeMounts: all.map(([name, mountPath]) => ({ name, mountPath })),
  };
}
