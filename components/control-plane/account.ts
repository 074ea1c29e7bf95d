import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { markLabels } from "../../core/labels.ts";
import type { Owner } from "../../core/ownership.ts";
import {
  type RoleInFile,
  rolesInFile,
  type Rule,
  SERVICE_ROLE,
  STACKS_ROLE,
} from "../../providers/kubernetes/rights.ts";

export interface ServiceAccountArgs {
  readonly platform: string;
  /** The owner of the cluster-scoped objects. */
  readonly owner: pulumi.Input<Owner>;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
}

/**
 * The ClusterRoles of `deploy/rights/kubernetes.yaml`, with the names that a platform gives them. The
 * account may also read them, for a `refresh` of the platform.
 */
export function serviceClusterRoles(platform: string): (RoleInFile & { readonly name: string })[] {
  const roles = rolesInFile()
    .filter(({ kind }) => kind === "ClusterRole")
    .map((role) => ({ ...role, name: `${role.metadata.name}:${platform}` }));
  const own: Rule = {
    apiGroups: ["rbac.authorization.k8s.io"],
    resources: ["clusterroles", "clusterrolebindings"],
    resourceNames: roles.map(({ name }) => name),
    verbs: ["get"],
  };
  return roles.map((role) =>
    role.metadata.name === STACKS_ROLE ? { ...role, rules: [...role.rules, own] } : role,
  );
}

/**
 * The service's account, with the rights in `deploy/rights/kubernetes.yaml`. It cannot change its roles, so an administrator has to run the
 * `up` that gives a new version more rights. Delete deletes the account, its roles and the bindings.
 */
export class ServiceAccount extends pulumi.ComponentResource {
  readonly name: pulumi.Output<string>;

  constructor(
    name: string,
    { platform, owner, metadata }: ServiceAccountArgs,
    options: pulumi.ResourceOptions,
  ) {
    super("rdev:components:ServiceAccount", name, {}, { parent: options.parent });
    const { dependsOn, deletedWith } = options;
    const inNamespace = { parent: this, dependsOn, deletedWith };
    const labels = pulumi
      .output(owner)
      .apply((found) => ({ ...metadata.labels, ...markLabels(found) }));
    const account = new k8s.core.v1.ServiceAccount(
      name,
      // The service's pod mounts the token explicitly. The migration's must not get it.
      { metadata, automountServiceAccountToken: false },
      inNamespace,
    );
    const binding = (kind: string, role: pulumi.Input<string>) => ({
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: role },
      subjects: [
        {
          kind: "ServiceAccount",
          name: account.metadata.name,
          namespace: metadata.namespace,
        },
      ],
    });

    for (const { name: roleName, metadata: inFile, rules } of serviceClusterRoles(platform)) {
      const child = `${name}-${inFile.name}`;
      const clusterWide = { name: roleName, labels };
      const clusterRole = new k8s.rbac.v1.ClusterRole(
        child,
        { metadata: clusterWide, rules },
        { parent: this },
      );
      new k8s.rbac.v1.ClusterRoleBinding(
        child,
        { metadata: clusterWide, ...binding("ClusterRole", clusterRole.metadata.name) },
        { parent: this },
      );
    }
    const role = new k8s.rbac.v1.Role(
      name,
      { metadata, rules: rolesInFile().find((each) => each.metadata.name === SERVICE_ROLE)?.rules },
      inNamespace,
    );
    new k8s.rbac.v1.RoleBinding(
      name,
      { metadata, ...binding("Role", role.metadata.name) },
      inNamespace,
    );

    this.name = account.metadata.name;
    this.registerOutputs({});
  }
}
