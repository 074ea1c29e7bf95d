import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ownershipLabels } from "../core/labels.ts";

/** The name of the ServiceAccount that a project's pipeline deploys as. */
export const DEPLOY_ACCOUNT = "deploy";

/** A pipeline's access to the cluster. */
export interface DeployAccess {
  /** A bearer token for the Kubernetes API; a secret. */
  readonly token: pulumi.Output<string>;
  /** The certificate authority of the Kubernetes API, as PEM. */
  readonly ca: pulumi.Output<string>;
}

export interface DeployAccountArgs {
  /** The project's slug: the name of the namespace and of the Deployment. */
  readonly slug: string;
}

/**
 * A ServiceAccount that may set the image of the project's Deployment and watch the rollout. RBAC
 * permits it to patch the whole Deployment; ProjectPolicy limits that to the image. The objects are
 * deleted with the namespace.
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
          // For `kubectl rollout status`. RBAC cannot limit a list by name.
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
    // Such a token is valid as long as its Secret exists, so no pipeline has to renew it.
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

/** Empty until the cluster has filled the Secret: in a preview, and with mocks. */
function decoded(data: Record<string, string> | undefined, key: string): string {
  return Buffer.from(data?.[key] ?? "", "base64").toString();
}
