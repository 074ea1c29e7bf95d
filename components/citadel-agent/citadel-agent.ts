import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ownershipLabels, workloadLabels } from "../../core/labels.ts";
import type { Owner } from "../../core/ownership.ts";
import type { AgentSettings } from "../../core/settings.ts";
import { Namespace } from "../../providers/kubernetes/namespace.ts";
import { AgentAccount } from "./account.ts";
import { agentConfiguration } from "./configuration.ts";
import { daemonSetSpec } from "./daemon-set.ts";
import { fingerprint } from "./fingerprint.ts";

/** The name of every object of the agent that lies in its namespace. */
const NAME = "citadel-agent";

export interface CitadelAgentArgs {
  /** The platform's name: whose mark the objects carry. */
  readonly platform: string;
  readonly namespace: string;
  readonly image: string;
  readonly settings: AgentSettings;
  readonly owner: pulumi.Input<Owner>;
  /** Citadel's URL, without a trailing slash. */
  readonly citadelUrl: string;
  /** The key that it sends with; good for ingest only, where there is such a key. */
  readonly apiKey: string;
  /** The platform's own environment. */
  readonly tenantId: pulumi.Input<string>;
}

/**
 * The log agent, on every node whatever its taints: namespace, Secret `citadel-agent` (keys
 * `api-key` and `tenant-id`), ConfigMap, ServiceAccount, RBAC (`get` on pods and namespaces, no more) and DaemonSet.
 * It sends a container's output to the environment that its pod names, else to the platform's. It
 * believes the pods' labels, so an EnvironmentPolicy must stand before it runs.
 *
 * Delete deletes all of it from the cluster. On the nodes stays the folder `/var/lib/citadel-agent`,
 * with what was not sent yet: an agent that comes back goes on there. What was sent stays in Citadel.
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
        labels: {
          // The agent mounts folders of the node.
          "pod-security.kubernetes.io/enforce": "privileged",
        },
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
      // Before its namespace: that waits half of the pods' time to stop, whether they need it or not.
      { parent: this, dependsOn: [namespace, account] },
    );

    this.namespace = namespace.id;
    this.registerOutputs({ namespace: this.namespace });
  }
}
