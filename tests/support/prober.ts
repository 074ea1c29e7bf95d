import type { KubeConfig } from "@kubernetes/client-node";
import { CoreV1Api } from "@kubernetes/client-node";
import { Agent, request } from "undici";
import { citadelLabels, ENVIRONMENT_LABEL } from "../../core/labels.ts";
import { PROBER_IMAGE } from "../../sandbox/node/pod-images.ts";

/** The port that the prober listens on. */
export const PROBER_PORT = 8080;

/** Creates a pod that a project's namespace admits, with the prober (tools/pods/prober) by default. */
export async function createProber(
  cluster: KubeConfig,
  namespace: string,
  name: string,
  { image = PROBER_IMAGE, memory = "32Mi", nodeName }: PodOptions = {},
): Promise<void> {
  const core = cluster.makeApiClient(CoreV1Api);
  const { metadata } = await core.readNamespace({ name: namespace });
  const limits = { cpu: "100m", memory };
  await core.createNamespacedPod({
    namespace,
    body: {
      metadata: { name, labels: citadelLabels(name, metadata?.labels?.[ENVIRONMENT_LABEL]) },
      spec: {
        ...(nodeName !== undefined && { nodeName }),
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 0,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 65_532,
          seccompProfile: { type: "RuntimeDefault" },
        },
        containers: [
          {
            name,
            image,
            ports: [{ containerPort: PROBER_PORT }],
            resources: { requests: { cpu: "10m", memory: "8Mi" }, limits },
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          },
        ],
      },
    },
  });
}

interface PodOptions {
  readonly image?: string;
  readonly memory?: string;
  readonly nodeName?: string;
}

/**
 * Asks a prober through the API server, and returns its answer. `prober` is `services/<name>` or
 * `pods/<name>:<port>`. Throws unless the status is 200.
 */
export async function askProber(
  cluster: KubeConfig,
  { namespace, prober }: { readonly namespace: string; readonly prober: string },
  path: string,
  parameters: Record<string, string> = {},
): Promise<string> {
  const server = cluster.getCurrentCluster();
  const ca = Buffer.from(server?.caData ?? "", "base64");
  const url = new URL(`/api/v1/namespaces/${namespace}/${prober}/proxy${path}`, server?.server);
  url.search = new URLSearchParams(parameters).toString();
  const dispatcher = new Agent({ connect: { ca } });
  try {
    const { statusCode, body } = await request(url, {
      dispatcher,
      headers: { authorization: `Bearer ${cluster.getCurrentUser()?.token}` },
    });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`${statusCode} ${text}`);
    return text;
  } finally {
    await dispatcher.close();
  }
}
