import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { DataService, Egress } from "../core/egress.ts";
import { citadelLabels, ownershipLabels, workloadLabels } from "../core/labels.ts";
import type { Owner } from "../core/ownership.ts";
import type { Account } from "../core/registry.ts";
import type { Sizes } from "../core/settings.ts";
import { ForeignFields, TAKEN_BACK } from "../providers/kubernetes/foreign-fields.ts";
import { RunningImage } from "../providers/kubernetes/running-image.ts";
import { type DeployAccess, DeployAccount } from "./deploy-account.ts";
import { ProjectNamespace } from "./project-namespace.ts";

/** Where the project's process listens; the placeholder does as well. */
const PORT = 8080;

/** The container whose image CI sets. */
export const CONTAINER = "app";

/** A user that no image needs to know. */
const NOBODY = 65_532;

export interface DeploymentArgs {
  /** The project's slug: the name of the namespace and of everything that serves requests in it. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** Where it is served. */
  readonly host: string;
  /** What runs until the first build sets an image. */
  readonly placeholderImage: string;
  readonly sizes: Sizes;
  readonly ingressClass: string;
  /** The namespace of the ingress controller. */
  readonly ingressNamespace: string;
  readonly egress: Egress;
  /** Its environment in Citadel: pods are labelled with it. Without Citadel: undefined. */
  readonly environment?: pulumi.Input<string>;
  /** What pods pull the project's images with. Without one, nodes or the registry must allow it. */
  readonly pull: { readonly host: string; readonly account: Account } | undefined;
  /** Secret environment variables, each the URL of a data service: DATABASE_URL, REDIS_URL. */
  readonly secrets: Readonly<Record<string, pulumi.Input<string>>>;
}

/**
 * The project, running: a namespace, a ServiceAccount, a Secret, a Deployment whose pods carry the
 * citadel.io labels, a Service and an Ingress. CI owns the image: `up` sends the one that runs. An
 * autoscaler owns the replicas, where there is one. Everything else is taken back by force.
 * Delete deletes the namespace with everything in it.
 */
export class Deployment extends pulumi.ComponentResource {
  readonly namespace: pulumi.Output<string>;
  /** What the project's pipeline may deploy with. */
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
    // No fixed name: a changed value makes a new Secret, and so new pods that read it.
    const secret = new k8s.core.v1.Secret(
      `${name}-env`,
      {
        metadata: { namespace: slug, labels: metadata.labels },
        immutable: true,
        stringData: { ...args.secrets },
      },
      child,
    );
    const { image } = new RunningImage(
      name,
      { namespace: slug, deployment: slug, container: CONTAINER, fallback: args.placeholderImage },
      { parent: this },
    );
    const foreign = new ForeignFields(
      name,
      {
        namespace: slug,
        deployment: slug,
        container: CONTAINER,
        replicas: args.sizes.replicas,
      },
      { parent: this },
    );
    new k8s.apps.v1.Deployment(
      name,
      {
        metadata: {
          ...metadata,
          annotations: foreign.takenBack.apply((text): Record<string, string> =>
            text ? { [TAKEN_BACK]: text } : {},
          ),
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
              securityContext: {
                runAsNonRoot: true,
                runAsUser: NOBODY,
                seccompProfile: { type: "RuntimeDefault" },
              },
              containers: [container(args.sizes, image, secret.metadata.name)],
            },
          },
        },
      },
      child,
    );
    const service = new k8s.core.v1.Service(
      name,
      {
        // Whether pods answer, the Deployment waits for; the plugin would wait 10 s more for nothing.
        metadata: { ...metadata, annotations: { "pulumi.com/skipAwait": "true" } },
        spec: {
          selector: workloadLabels(slug),
          ports: [{ name: "http", port: 80, targetPort: "http" }],
        },
      },
      child,
    );
    new k8s.networking.v1.Ingress(
      name,
      {
        // Its address comes from the ingress controller, which no project should wait for.
        metadata: { ...metadata, annotations: { "pulumi.com/skipAwait": "true" } },
        spec: {
          ingressClassName: args.ingressClass,
          tls: [{ hosts: [args.host] }],
          rules: [
            {
              host: args.host,
              http: {
                paths: [
                  {
                    path: "/",
                    pathType: "Prefix",
                    backend: {
                      service: { name: service.metadata.name, port: { name: "http" } },
                    },
                  },
                ],
              },
            },
          ],
        },
      },
      child,
    );

    this.namespace = space.namespace.id;
    this.deploy = new DeployAccount(`${name}-deploy`, { slug }, { parent: this, ...space.inside });
    this.registerOutputs({ namespace: this.namespace });
  }
}

/** Under a fixed name, so that pods that run already pull with an account that was renewed. */
function pullSecretOf(
  name: string,
  metadata: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  { host, account }: NonNullable<DeploymentArgs["pull"]>,
  options: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret {
  const { username, password } = account;
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  const config = JSON.stringify({ auths: { [host]: { username, password, auth } } });
  return new k8s.core.v1.Secret(
    `${name}-registry`,
    {
      metadata: { ...metadata, name: "registry-pull" },
      type: "kubernetes.io/dockerconfigjson",
      stringData: { ".dockerconfigjson": pulumi.secret(config) },
    },
    options,
  );
}

/** Host and port, which are no secret, of a URL that is one. */
function serviceOf(url: pulumi.Input<string>): pulumi.Output<DataService> {
  return pulumi.unsecret(
    pulumi.output(url).apply((text) => {
      const { hostname, port, protocol } = new URL(text);
      return { host: hostname, port: Number(port || DEFAULT_PORTS[protocol]) };
    }),
  );
}

/** The ports that URLs without one mean. */
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
    readinessProbe: { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 5 },
    resources: {
      requests: { cpu: sizes.cpuRequest, memory: sizes.memoryRequest },
      limits: { cpu: sizes.cpuLimit, memory: sizes.memoryLimit },
    },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
  };
}
