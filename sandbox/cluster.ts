import type { Context } from "./context.ts";
import { type Box, startBox } from "./node/box.ts";
import { createForwarder } from "./node/forwarder.ts";
import { type RealNode, startRealNode } from "./node/node.ts";
import { type KubernetesServer, startKubernetes } from "./servers/kubernetes.ts";
import type { NODE_FAMILIES } from "./tool-families.ts";
import type { BuiltFamily } from "./tools.ts";

/** The programs for one kind of cluster: with simulated nodes, or with a real one. */
export type ClusterTools =
  | { readonly kwok: BuiltFamily }
  | { readonly node: Record<keyof typeof NODE_FAMILIES, BuiltFamily> };

export interface ClusterOptions {
  /** The domain whose names lead pods to the ingress on the real node. @default there is no ingress */
  readonly domain?: string | undefined;
}

/** The node on which the sandbox's pods run. */
export interface SandboxNode
  extends
    Pick<RealNode, "importImages" | "useRegistry" | "containersOf" | "servers">,
    Pick<Box, "link" | "enter"> {
  readonly forPods: Context["forPods"];
  /** The programs of the node's own images. */
  readonly programs: BuiltFamily;
}

/** A cluster whose network is there, so that the other servers know how its pods reach them. */
export interface PreparedCluster {
  readonly forPods: Context["forPods"];
  start(
    context: Context,
    tools: Record<"kubernetes" | "etcd", BuiltFamily>,
  ): Promise<KubernetesServer & { readonly node?: SandboxNode }>;
  close(): Promise<void>;
}

/** Makes the network of a cluster: for a real node its box and forwarders, else nothing. */
export async function prepareCluster(
  context: Context,
  tools: ClusterTools,
  { domain }: ClusterOptions = {},
): Promise<PreparedCluster> {
  if ("kwok" in tools) {
    return {
      forPods: context.forPods,
      start: (complete, servers) => startKubernetes(complete, { ...servers, ...tools }),
      close: () => Promise.resolve(),
    };
  }
  const box = await startBox(context);
  const { link, enter } = box;
  const forwarder = createForwarder(link.host);
  const forPods = (url: string) => forwarder.forward(url);
  return {
    forPods,
    start: async (complete, serverTools) => {
      const started = await startRealNode(complete, box, { ...serverTools, ...tools.node }, domain);
      const { importImages, useRegistry, containersOf, servers } = started;
      const programs = tools.node.pods;
      const images = { importImages, useRegistry, containersOf };
      return { ...started, node: { ...images, link, enter, forPods, programs, servers } };
    },
    close: () => forwarder.close(),
  };
}
