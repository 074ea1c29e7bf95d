import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { requireCommand, run, startServer } from "../process.ts";
import type { BuiltFamily } from "../tools.ts";
import { type Box, NODE_NAME } from "./box.ts";
import { SOCKET } from "./containerd.ts";
import { DNS_ADDRESS } from "./dns.ts";

/** The API server's certificate for its calls to the kubelet: logs, exec and port-forward. */
export interface ClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** Makes a certificate that is its own authority, so that no other certificate is valid. */
export async function makeClientCertificate({ context, folder }: Box): Promise<ClientCertificate> {
  const certificate = join(folder, "kubelet-client.crt");
  const key = join(folder, "kubelet-client.key");
  await run(
    context.reaper,
    await requireCommand("openssl"),
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"],
      ...["-keyout", key, "-out", certificate, "-days", "365"],
      // The kubelet asks the API server whether this group may do what is asked.
      ...["-subj", "/O=system:masters/CN=kube-apiserver"],
      ...["-addext", "extendedKeyUsage=clientAuth"],
    ],
    { folder },
  );
  return { certificate, key };
}

export interface KubeletOptions {
  readonly tools: BuiltFamily;
  readonly kubeconfig: string;
  readonly clientCertificate: ClientCertificate;
  readonly admin: KubeConfig;
}

/**
 * Starts the kubelet, and returns its process id. Resolves when its node is Ready; after a restart, the
 * node still looks Ready.
 */
export async function startKubelet(
  { context, folder, link, cgroupRoot }: Box,
  { tools, kubeconfig, clientCertificate, admin }: KubeletOptions,
): Promise<number> {
  const resolvConf = join(folder, "resolv.conf");
  await writeFile(resolvConf, "");
  const config = join(folder, "kubelet.json");
  const settings = {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: clientCertificate.certificate },
    },
    authorization: { mode: "Webhook" },
    containerRuntimeEndpoint: `unix://${SOCKET}`,
    cgroupDriver: "cgroupfs",
    cgroupRoot,
    failCgroupV1: false,
    failSwapOn: false,
    // It then only reads the machine's settings, and finds those that box.sh shows it.
    protectKernelDefaults: true,
    makeIPTablesUtilChains: false,
    clusterDNS: [DNS_ADDRESS],
    clusterDomain: "cluster.local",
    resolvConf,
    // The machine's disk may be almost full for other reasons.
    evictionHard: {
      "memory.available": "100Mi",
      "nodefs.available": "0%",
      "imagefs.available": "0%",
    },
    imageGCHighThresholdPercent: 100,
  };
  await writeFile(config, JSON.stringify(settings, null, 2));
  const core = admin.makeApiClient(CoreV1Api);
  return startServer(context, {
    name: "kubelet",
    command: tools.program("kubelet"),
    args: [
      `--config=${config}`,
      `--kubeconfig=${kubeconfig}`,
      `--hostname-override=${NODE_NAME}`,
      `--node-ip=${link.node}`,
      `--cert-dir=${join(folder, "kubelet-certificates")}`,
    ],
    folder,
    ready: async () => {
      const { status } = await core.readNode({ name: NODE_NAME });
      const ready = status?.conditions?.find(({ type }) => type === "Ready");
      if (ready?.status !== "True") throw new Error(ready?.message ?? "the node has no status");
    },
  });
}
