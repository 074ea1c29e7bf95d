import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ownershipLabels } from "../core/labels.ts";

/** The name of the ServiceAccount that a project's pipeline deploys as. */
export const DEPLOY_ACCOUNT = "deploy";

/** What a pipeline deploys with. */
export interface DeployAccess {
  /** A bearer token for the Kubernetes API; a secret. */
  readonly token: pulumi.Output<string>;
  /** The API's certificate authority, in PEM. */
  readonly ca: pulumi.Output<string>;
}

export interface DeployAccountArgs {
  /** The project's slug: the namespace, and the Deployment whose image may be set. */
  readonly slug: string;
}

/**
 * A ServiceAccount that may do one thing: set the image of the project's Deployment and watch the
 * rollout. RBAC lets it patch the whole Deployment; that it is the image only, ProjectPolicy says.
 * Delete is the namespace's.
 */
export class DeployAccount extends pulumi.ComponentResource implements DeployAccess {
  readonly token: pulumi.Output<string>;
  readonly ca: pulumi.Output<string>;

  constructor(name: string, args: DeployAccountArgs, options: pulumi.ComponentResourceOptions) {
    super("rdev:components:DeployAccount", name, {}, options);
    const metadata = {
      name: DEPLOY_ACCOUNT,
      namespace: args.slug,
      labels: ownershipLabels(args.slug),
    };
    const child = { parent: this, dependsOn: options.dependsOn, deletedWith: options.deletedWith };

    const account = new k8s.core.v1.ServiceAccount(name, { metadata }, child);
    const role = new k8s.rbac.v1.Role(
      name,
      {
        metadata,
        rules: [
          {
            apiGroups: ["apps"],
            resources: ["deployments"],
            resourceNames: [args.slug],
            verbs: ["get", "patch"],
          },
          // What `kubectl rollout status` watches; names cannot be given for a list.
          { apiGroups: ["apps"], resources: ["deployments"], verbs: ["list", "watch"] },
        ],
      },
      child,
    );
    new k8s.rbac.v1.RoleBinding(
      name,
      {
        metadata,
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: role.metadata.name },
        subjects: [{ kind: "ServiceAccount", name: account.metadata.name, namespace: args.slug }],
      },
      child,
    );
    // A token of this kind lives as long as its Secret, which no pipeline has to renew.
    const secret = new k8s.core.v1.Secret(
      `${name}-token`,
      {
        metadata: {
          ...metadata,
          name: "deploy-token",
          annotations: { "kubernetes.io/service-account.name": account.metadata.name },
        },
        type: "kubernetes.io/service-account-token",
      },
      { ...child, additionalSecretOutputs: ["data"] },
    );

    this.token = pulumi.secret(secret.data.apply((data) => decoded(data, "token")));
    this.ca = secret.data.apply((data) => decoded(data, "ca.crt"));
    this.registerOutputs({});
  }
}

/** Empty as long as the cluster has not filled the Secret: in a preview, and under mocks. */
function decoded(data: Record<string, string> | undefined, key: string): string {
  return Buffer.from(data?.[key] ?? "", "base64").toString();
}
