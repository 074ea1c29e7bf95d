import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { DataService, Egress } from "../core/egress.ts";
import { citadelLabels, CONTAINER, ownershipLabels, workloadLabels } from "../core/labels.ts";
import type { Owner } from "../core/ownership.ts";
import type { PullAccount } from "../core/registry.ts";
import type { TlsSettings } from "../core/settings.ts";
import type { Sizes } from "../core/sizes.ts";
import { ForeignFields, TAKEN_BACK } from "../providers/kubernetes/foreign-fields.ts";
import { RunningImage } from "../providers/kubernetes/running-image.ts";
import { type DeployAccess, DeployAccount } from "./deploy-account.ts";
import { ingressOf, SKIP_AWAIT } from "./ingress.ts";
import { ProjectNamespace } from "./project-namespace.ts";
import { pullSecretOf } from "./pull-secret.ts";
import { RESTRICTED_CONTAINER, RESTRICTED_POD } from "./restricted.ts";

/** The port that the project's process and the placeholder listen on. */
const PORT = 8080;

/**
 * Seconds in which a pod that ends still answers, because the ingress and the nodes learn of its end
 * later than it does. Kubernetes 1.30 or newer: `sleep` needs no program in the image.
 */
const PRE_STOP = 5;

/** Seconds. Longer than PRE_STOP and the 20 s in which the skeleton completes its running requests. */
const TERMINATION_GRACE = 30;

export interface DeploymentArgs {
  /** The project's slug: the name of the namespace, the Deployment, the Service and the Ingress. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** The project's host name. */
  readonly host: string;
  /** The image that runs until the first build sets one. */
  readonly placeholderImage: string;
  readonly sizes: Sizes;
  /** Run no pods, whatever the sizes and an autoscaler say. Default: false. */
  readonly stopped?: boolean;
  readonly ingressClass: string;
  /** The namespace of the ingress controller. */
  readonly ingressNamespace: string;
  /** Where the host's certificate comes from. By default the ingress controller serves its own. */
  readonly tls?: TlsSettings;
  readonly egress: Egress;
  /** The project's environment in Citadel, for the pods' label. Undefined without Citadel. */
  readonly environment?: pulumi.Input<string>;
  /** The account for pulling the project's images. Without one, the nodes must be able to pull. */
  readonly pull: PullAccount | undefined;
  /** Secret environment variables. Each is the URL of a data service: DATABASE_URL, REDIS_URL. */
  readonly secrets: Readonly<Record<string, pulumi.Input<string>>>;
}

/**
 * Runs the project: a namespace, a ServiceAccount, a Secret, a Deployment whose pods have the
 * citadel.io labels, a Service and an Ingress. CI owns the image, so `up` keeps the running one, and
 * only warns if that does not come up or is being rolled out. An autoscaler, if there is one, owns the replicas of a project
 * that is not stopped. `up` reverts all other changes. Delete deletes the namespace with everything in it.
 */
export class Deployment extends pulumi.ComponentResource {
  readonly namespace: pulumi.Output<string>;
  /** The access of the project's pipeline. */
  readonly deploy: DeployAccess;

  constructor(name: string, args: DeploymentArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:Deployment", name, {}, options);
    const { slug } = args;

    const dataServices = Object.values(args.secrets).map(serviceOf);
    const space = new ProjectNamespace(name, { ...args, dataServices }, { parent: this });
    const child = { parent: this, ...space.inside };
    const metadata = {
      name: slug,
      namespace: slug,
      labels: { ...workloadLabels(slug), ...ownershipLabels(slug) },
    };

    const pullSecret = args.pull && pullSecretOf(name, metadata, args.pull, child);
    const account = new k8s.core.v1.ServiceAccount(
      name,
      {
        metadata,
        automountServiceAccountToken: false,
        ...(pullSecret && { imagePullSecrets: [{ name: pullSecret.metadata.name }] }),
      },
      child,
    );
    // No fixed name: a changed value makes a new Secret, and so new pods with the new value.
    const secret = new k8s.core.v1.Secret(
      `${name}-env`,
      {
        metadata: { namespace: slug, labels: metadata.labels },
        immutable: true,
        stringData: { ...args.secrets },
      },
      child,
    );
    const running = new RunningImage(
      name,
      { namespace: slug, deployment: slug, container: CONTAINER, fallback: args.placeholderImage },
      { parent: this },
    );
    const isCisRollout = rolloutOfCi(slug, running);
    const foreign = new ForeignFields(
      name,
      {
        namespace: slug,
        deployment: slug,
        container: CONTAINER,
        replicas: args.stopped ? 0 : args.sizes.replicas,
        // Absent in a project that runs, so that the inputs of older stacks do not change.
        ...(args.stopped && { stopped: true as const }),
      },
      { parent: this },
    );
    new k8s.apps.v1.Deployment(
      name,
      {
        metadata: {
          ...metadata,
          annotations: pulumi.all([foreign.takenBack, isCisRollout]).apply(([text, skip]) => ({
            ...(text && { [TAKEN_BACK]: text }),
            [SKIP_AWAIT]: String(skip),
          })),
        },
        spec: {
          replicas: foreign.replicas,
          revisionHistoryLimit: 3,
          selector: { matchLabels: workloadLabels(slug) },
          template: {
            metadata: { labels: podLabels(slug, args.environment) },
            spec: {
              serviceAccountName: account.metadata.name,
              automountServiceAccountToken: false,
              terminationGracePeriodSeconds: TERMINATION_GRACE,
              securityContext: RESTRICTED_POD,
              containers: [container(args.sizes, running.image, secret.metadata.name)],
            },
          },
        },
      },
      child,
    );
    const service = new k8s.core.v1.Service(
      name,
      {
        // The Deployment already waits for its pods. Without this, the plugin waits 10 s more.
        metadata: { ...metadata, annotations: { [SKIP_AWAIT]: "true" } },
        spec: {
          selector: workloadLabels(slug),
          ports: [{ name: "http", port: 80, targetPort: "http" }],
        },
      },
      child,
    );
    ingressOf(name, { metadata, ...args, service: service.metadata.name }, child);

    this.namespace = space.namespace.id;
    this.deploy = new DeployAccount(`${name}-deploy`, { slug }, { parent: this, ...space.inside });
    this.registerOutputs({ namespace: this.namespace });
  }
}

/**
 * Whether the pods' state is CI's work: its image does not come up, or its rollout is under way. Says
 * so in a preview and an up.
 */
function rolloutOfCi(slug: string, running: RunningImage): pulumi.Output<boolean> {
  const { image, problem, isRollingOut } = running;
  return pulumi.all([image, problem, isRollingOut]).apply(async ([name, found, isUnderWay]) => {
    if (found !== "") {
      await pulumi.log.warn(
        `${slug} does not come up with the image ${name}, which CI set: ` +
          `${found.replace(/[.\s]+$/, "")}. An up does not wait for it. ` +
          "Push a commit that mends it, or set an image that works: " +
          `kubectl -n ${slug} set image deployment/${slug} ${CONTAINER}=…`,
      );
    } else if (isUnderWay) {
      await pulumi.log.warn(
        `The rollout of the image ${name}, which CI set in ${slug}, is under way. An up does not ` +
          `wait for it. To watch it: kubectl -n ${slug} rollout status deployment/${slug}`,
      );
    }
    return found !== "" || isUnderWay;
  });
}

/** Host and port of a secret URL. They are not secret themselves. */
function serviceOf(url: pulumi.Input<string>): pulumi.Output<DataService> {
  return pulumi.unsecret(
    pulumi.output(url).apply((text) => {
      const { hostname, port, protocol } = new URL(text);
      return { host: hostname, port: Number(port || DEFAULT_PORTS[protocol]) };
    }),
  );
}

/** The ports of URLs that contain none. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  "postgres:": 5432,
  "postgresql:": 5432,
  "redis:": 6379,
  "rediss:": 6379,
};

function podLabels(slug: string, environment: pulumi.Input<string> | undefined) {
  return pulumi
    .output(environment)
    .apply((id) => ({ ...workloadLabels(slug), ...citadelLabels(slug, id) }));
}

function container(
  sizes: Sizes,
  image: pulumi.Input<string>,
  secretName: pulumi.Input<string>,
): k8s.types.input.core.v1.Container {
  return {
    name: CONTAINER,
    image,
    ports: [{ name: "http", containerPort: PORT }],
    env: [{ name: "PORT", value: String(PORT) }],
    envFrom: [{ secretRef: { name: secretName } }],
    lifecycle: { preStop: { sleep: { seconds: PRE_STOP } } },
    readinessProbe: { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 5 },
    resources: {
      requests: { cpu: sizes.cpuRequest, memory: sizes.memoryRequest },
      limits: { cpu: sizes.cpuLimit, memory: sizes.memoryLimit },
    },
    securityContext: RESTRICTED_CONTAINER,
  };
}
