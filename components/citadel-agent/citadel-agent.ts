import { scryptSync } from "node:crypto";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ownershipLabels, workloadLabels } from "../../core/labels.ts";
import type { Owner } from "../../core/ownership.ts";
import type { AgentSettings } from "../../core/settings.ts";
import { Namespace } from "../../providers/kubernetes/namespace.ts";
import { AgentAccount } from "./account.ts";
import { agentConfiguration } from "./configuration.ts";
import { daemonSetSpec } from "./daemon-set.ts";

/** The name of each of the agent's objects in its namespace. */
const NAME = "citadel-agent";

export interface CitadelAgentArgs {
  /** The platform's name, for the labels of the objects. */
  readonly platform: string;
  readonly namespace: string;
  readonly image: string;
  readonly settings: AgentSettings;
  readonly owner: pulumi.Input<Owner>;
  /** Citadel's URL, without a trailing slash. */
  readonly citadelUrl: string;
  /** The key for sending events. It should only permit ingest. */
  readonly apiKey: string;
  /** The platform's own environment. */
  readonly tenantId: pulumi.Input<string>;
}

/**
 * The log agent, on every node whatever its taints: namespace, Secret `citadel-agent` (keys
 * `api-key` and `tenant-id`), ConfigMap, ServiceAccount, RBAC (only `get` on pods and namespaces) and
 * DaemonSet. It sends a container's output to the environment in its pod's label, by default to the
 * platform's. The agent trusts the labels, so the EnvironmentPolicy must exist before it runs.
 *
 * Delete deletes all objects from the cluster. The folder `/var/lib/citadel-agent` stays on the nodes
 * with the lines that were not sent yet, and a later agent continues from it. Citadel keeps the
 * events that it has.
 */
export class CitadelAgent extends pulumi.ComponentResource {
  readonly namespace: pulumi.Output<string>;

  constructor(name: string, args: CitadelAgentArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:CitadelAgent", name, {}, options);
    const labels = { ...workloadLabels(NAME), ...ownershipLabels(args.platform) };
    const metadata = { name: NAME, namespace: args.namespace, labels };
    const apiKey = pulumi.secret(args.apiKey);

    const namespace = new Namespace(
      name,
      {
        name: args.namespace,
        owner: args.owner,
        // The agent mounts folders of the node.
        labels: { "pod-security.kubernetes.io/enforce": "privileged" },
      },
      { parent: this },
    );
    const child = { parent: this, dependsOn: namespace, deletedWith: namespace };

    const account = new AgentAccount(name, { metadata, owner: args.owner }, child);
    const secret = new k8s.core.v1.Secret(
      name,
      { metadata, stringData: { "api-key": apiKey, "tenant-id": args.tenantId } },
      child,
    );
    const files = agentConfiguration({
      citadelUrl: args.citadelUrl,
      platform: args.platform,
      namespace: args.namespace,
      bufferMiB: args.settings.bufferMiB,
      tenantMiB: args.settings.tenantMiB,
      containerLinesPerSecond: args.settings.containerLinesPerSecond,
      containerKiBPerSecond: args.settings.containerKiBPerSecond,
    });
    const config = new k8s.core.v1.ConfigMap(name, { metadata, data: files }, child);
    new k8s.apps.v1.DaemonSet(
      name,
      {
        metadata,
        spec: daemonSetSpec({
          labels: workloadLabels(NAME),
          image: args.image,
          settings: args.settings,
          account: account.name,
          secret: secret.metadata.name,
          config: config.metadata.name,
          fingerprint: fingerprint(apiKey, [files, args.tenantId]),
        }),
      },
      // No deletedWith: deleting the DaemonSet first is faster, because a namespace always waits half
      // of its pods' grace period.
      { parent: this, dependsOn: [namespace, account] },
    );

    this.namespace = namespace.id;
    this.registerOutputs({ namespace: this.namespace });
  }
}

/** Bytes of a fingerprint. */
const LENGTH = 12;

/**
 * A text that changes whenever the key or the other values change. It may be public: scrypt is too
 * slow for guessing keys, and the text is too short to contain one.
 */
function fingerprint(key: pulumi.Input<string>, others: unknown): pulumi.Output<string> {
  return pulumi.unsecret(
    pulumi
      .all([key, pulumi.output(others)])
      .apply(([secret, salt]) => scryptSync(secret, JSON.stringify(salt), LENGTH).toString("hex")),
  );
}
