import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ownershipLabels, workloadLabels } from "../core/labels.ts";
import { METRICS_PORT } from "./citadel-agent/configuration.ts";

/** The log agent's objects all have this name. */
const AGENT = "citadel-agent";

export interface AgentNetworkArgs {
  /** The platform's name: whose mark the policy carries. */
  readonly platform: string;
  /** The log agent's namespace. */
  readonly namespace: pulumi.Input<string>;
  /** The namespace of the Prometheus that reads the agents' metrics. */
  readonly prometheusNamespace: string;
}

/**
 * Limits connections to the log agents: Prometheus, from its namespace or theirs, to the port of the
 * metrics. The kubelet of the agent's own node always may. Delete is the namespace's.
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
