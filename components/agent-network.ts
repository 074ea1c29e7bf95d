import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ownershipLabels, workloadLabels } from "../core/labels.ts";
import { METRICS_PORT } from "./citadel-agent/configuration.ts";

/** The name of all of the log agent's objects. */
const AGENT = "citadel-agent";

export interface AgentNetworkArgs {
  /** The platform's name, for the policy's labels. */
  readonly platform: string;
  /** The log agent's namespace. */
  readonly namespace: pulumi.Input<string>;
  /** The namespace of the Prometheus that scrapes the agents' metrics. */
  readonly prometheusNamespace: string;
}

/**
 * Limits connections to the log agents: only pods in Prometheus' namespace and in the agents' may
 * connect, and only to the metrics port. The kubelet of an agent's node can always connect. The policy
 * is deleted with the namespace.
 */
export class AgentNetwork extends pulumi.ComponentResource {
  constructor(name: string, args: AgentNetworkArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:AgentNetwork", name, {}, options);

    new k8s.networking.v1.NetworkPolicy(
      name,
      {
        metadata: {
          name: AGENT,
          namespace: args.namespace,
          labels: ownershipLabels(args.platform),
        },
        spec: {
          podSelector: { matchLabels: workloadLabels(AGENT) },
          policyTypes: ["Ingress"],
          ingress: [
            {
              from: [
                { podSelector: {} },
                {
                  namespaceSelector: {
                    matchLabels: { "kubernetes.io/metadata.name": args.prometheusNamespace },
                  },
                },
              ],
              ports: [{ protocol: "TCP", port: METRICS_PORT }],
            },
          ],
        },
      },
      { parent: this },
    );

    this.registerOutputs({});
  }
}
