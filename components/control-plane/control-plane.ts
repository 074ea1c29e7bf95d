import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type Egress, serviceEgressRules } from "../../core/egress.ts";
import { ownershipLabels, workloadLabels } from "../../core/labels.ts";
import type { Owner } from "../../core/ownership.ts";
import { registryOfImage } from "../../core/registry.ts";
import type { ServiceSettings } from "../../core/service-settings.ts";
import type { ServiceVariables } from "../../core/service-variables.ts";
import type { TlsSettings } from "../../core/settings.ts";
import { Namespace } from "../../providers/kubernetes/namespace.ts";
import { ingressOf, SKIP_AWAIT } from "../ingress.ts";
import { pullSecretOf } from "../pull-secret.ts";
import { ServiceAccount } from "./account.ts";
import { Backups } from "./backups.ts";
import { migrationName, migrationSpec } from "./jobs.ts";
import { Monitoring } from "./monitoring.ts";
import {
  AUTHORITIES_FILE,
  deploymentSpec,
  NAME,
  type PodArgs,
  PORT,
  SERVICE_LABELS,
} from "./pods.ts";
import { settingsFiles } from "./settings-files.ts";

/** With "true", Pulumi's Kubernetes plugin replaces a Job that is not complete. */
const REPLACE_UNREADY = "pulumi.com/replaceUnready";

export interface ControlPlaneArgs extends ServiceVariables {
  readonly platform: string;
  readonly owner: pulumi.Input<Owner>;
  readonly settings: ServiceSettings;
  /** The platform's settings file, which backups hold. */
  readonly settingsFile: { readonly name: string; readonly text: string };
  readonly ingressClass: string;
  /** The namespace of the ingress controller. */
  readonly ingressNamespace: string;
  /** Where the host's certificate comes from. By default the ingress controller serves its own. */
  readonly tls?: TlsSettings | undefined;
  readonly egress: Egress;
  /** The namespace of the Prometheus that scrapes the service's metrics. */
  readonly prometheusNamespace: string;
  /** The kinds of the Prometheus Operator that the cluster has. */
  readonly monitoring: pulumi.Output<readonly string[]>;
  /** Whether the platform collects logs, so that the agent's alerts have something to watch. */
  readonly collectsLogs: boolean;
}

/**
 * The service in the cluster: a namespace with Pod Security `restricted`, an account with the rights in
 * `deploy/rights`, a Secret with its variables, a Job that migrates the database before each version,
 * Deployment, PodDisruptionBudget, Service, Ingress and NetworkPolicy, backups and monitoring.
 *
 * Delete deletes the namespace with everything in it, and the account's roles. The service's database and
 * the stacks' states stay. The service cannot delete itself: run the destroy elsewhere.
 */
export class ControlPlane extends pulumi.ComponentResource {
  /** The address of the API. */
  readonly url: string;

  constructor(name: string, args: ControlPlaneArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:ControlPlane", name, {}, options);
    const { platform, owner, settings } = args;
    const labels = { ...workloadLabels(NAME), ...ownershipLabels(platform) };
    const metadata = { name: NAME, namespace: settings.namespace, labels };

    const namespace = new Namespace(
      name,
      {
        name: settings.namespace,
        owner,
        labels: {
          "pod-security.kubernetes.io/enforce": "restricted",
          "pod-security.kubernetes.io/warn": "restricted",
        },
      },
      { parent: this },
    );
    const child = { parent: this, dependsOn: namespace, deletedWith: namespace };
    const account = new ServiceAccount(name, { platform, owner, metadata }, child);
    const pod = podArgs(name, { metadata, ...args }, child);
    const migration = migrationOf(`${name}-migration`, { metadata, pod, ...args }, child);
    const data = settingsFiles(settings);
    const files =
      Object.keys(data).length > 0
        ? filesInConfigMap(`${name}-settings`, metadata, child, data)
        : undefined;
    const network = new k8s.networking.v1.NetworkPolicy(
      name,
      { metadata, spec: networkSpec(args) },
      child,
    );
    new k8s.apps.v1.Deployment(
      name,
      {
        metadata,
        spec: deploymentSpec({
          platform,
          settings,
          account: account.name,
          ...pod,
          files,
        }),
      },
      // No deletedWith: the pods have to end before their account loses its rights.
      { parent: this, dependsOn: [account, network, ...(migration ? [migration] : [])] },
    );
    new k8s.policy.v1.PodDisruptionBudget(
      name,
      // Not minAvailable: with one replica, no node could be drained.
      { metadata, spec: { maxUnavailable: 1, selector: { matchLabels: SERVICE_LABELS } } },
      child,
    );
    const service = new k8s.core.v1.Service(
      name,
      {
        // The Deployment already waits for its pods.
        metadata: { ...metadata, annotations: { [SKIP_AWAIT]: "true" } },
        spec: { selector: SERVICE_LABELS, ports: [{ name: "http", port: 80, targetPort: "http" }] },
      },
      child,
    );
    const { host } = settings;
    ingressOf(name, { metadata, ...args, host, service: service.metadata.name }, child);
    const { backup } = settings;
    if (backup) {
      new Backups(name, { backup, metadata, pod, settings: args.settingsFile }, child);
    }
    new Monitoring(name, { metadata, ...args }, child);

    this.url = `https://${host}`;
    this.registerOutputs({ url: this.url });
  }
}

interface InNamespace {
  readonly metadata: {
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
}

/** The objects that all pods of the service use. */
function podArgs(
  name: string,
  { metadata, settings, pullAccount, ...args }: InNamespace & ControlPlaneArgs,
  options: pulumi.CustomResourceOptions,
): PodArgs {
  const { image, certificateAuthorities: pem } = settings;
  const pull = pullAccount && { host: registryOfImage(image), account: pullAccount };
  return {
    image,
    secret: variablesSecret(`${name}-variables`, { metadata, ...args }, options).metadata.name,
    pullSecret: pull && pullSecretOf(name, metadata, pull, options).metadata.name,
    authorities:
      pem &&
      filesInConfigMap(`${name}-authorities`, metadata, options, { [AUTHORITIES_FILE]: pem }),
  };
}

/** Returns its name, which is not fixed: other content makes a new ConfigMap, and so new pods that read it. */
function filesInConfigMap(
  name: string,
  { namespace, labels }: InNamespace["metadata"],
  options: pulumi.CustomResourceOptions,
  data: Readonly<Record<string, string>>,
): pulumi.Output<string> {
  const map = new k8s.core.v1.ConfigMap(
    name,
    { metadata: { namespace, labels }, immutable: true, data },
    options,
  );
  return map.metadata.name;
}

/** No fixed name: a changed value makes a new Secret, and so new pods with the new value. */
function variablesSecret(
  name: string,
  { metadata, variables }: InNamespace & Pick<ControlPlaneArgs, "variables">,
  options: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret {
  const { namespace, labels } = metadata;
  return new k8s.core.v1.Secret(
    name,
    { metadata: { namespace, labels }, immutable: true, stringData: pulumi.secret(variables) },
    options,
  );
}

interface Migration extends InNamespace, ControlPlaneArgs {
  readonly pod: PodArgs;
}

/** The migration's Job. It has the database owner's password, which the service must not have. */
function migrationOf(
  name: string,
  { metadata, variables, ownerUrl, settings, pod }: Migration,
  options: pulumi.CustomResourceOptions,
): k8s.batch.v1.Job | undefined {
  if (ownerUrl === undefined) {
    void pulumi.log.info(
      "DATABASE_OWNER_URL is not set, so this up does not migrate the service's database. Before a " +
        "new version: rdev-infra store migrate",
    );
    return undefined;
  }
  const { namespace, labels } = metadata;
  const { DATABASE_URL = "" } = variables;
  const secret = variablesSecret(
    name,
    { metadata, variables: { DATABASE_URL, DATABASE_OWNER_URL: ownerUrl } },
    options,
  );
  return new k8s.batch.v1.Job(
    name,
    {
      metadata: {
        name: migrationName(settings.image),
        namespace,
        labels,
        // Otherwise the next up would wait for the Job that failed.
        annotations: { [REPLACE_UNREADY]: "true" },
      },
      spec: migrationSpec({ ...pod, secret: secret.metadata.name }),
    },
    options,
  );
}

/** Only the ingress and Prometheus may connect. The service may connect to all but link-local addresses. */
function networkSpec({
  ingressNamespace,
  prometheusNamespace,
  egress,
}: ControlPlaneArgs): k8s.types.input.networking.v1.NetworkPolicySpec {
  return {
    podSelector: {},
    policyTypes: ["Ingress", "Egress"],
    egress: serviceEgressRules(egress),
    ingress: [
      {
        from: [ingressNamespace, prometheusNamespace].map((namespace) => ({
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
        })),
        ports: [{ protocol: "TCP", port: PORT }],
      },
    ],
  };
}
