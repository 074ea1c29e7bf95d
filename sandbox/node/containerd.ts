import { mkdir, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import {
  type RestartableServer,
  requireCommand,
  run,
  startRestartable,
  startServer,
} from "../process.ts";
import type { BuiltFamily } from "../tools.ts";
import { type Box, POD_RANGE } from "./box.ts";
import { PAUSE_IMAGE } from "./pod-images.ts";

/** In the box's own /run. */
export const SOCKET = "/run/containerd/containerd.sock";

export interface Containerd {
  /** Stores the images of an OCI archive, under their names. */
  readonly importImages: (archive: string) => Promise<void>;
  /**
   * Pulls the images of a host from the registry at `url`, which may be without TLS. `host` is the
   * part of images' names before the first slash.
   */
  readonly useRegistry: (host: string, url: string) => Promise<void>;
  /** The ids of the containers of a namespace's pods, ended ones included. */
  readonly containersOf: (namespace: string) => Promise<string[]>;
  readonly containerd: RestartableServer;
}

/** Starts containerd in the box, with runc and a network for pods. */
export async function startContainerd(
  { context, folder: parent }: Box,
  { containerd, cni }: Record<"containerd" | "cni", BuiltFamily>,
): Promise<Containerd> {
  const folder = join(parent, "containerd");
  const networks = join(folder, "cni");
  const hosts = join(folder, "certs.d");
  await Promise.all([networks, hosts].map((path) => mkdir(path, { recursive: true })));
  await writeFile(join(networks, "10-pods.conflist"), JSON.stringify(podNetwork(folder)));
  const config = join(folder, "config.toml");
  await writeFile(
    config,
    toToml({
      root: join(folder, "root"),
      cni: { bin: dirname(cni.program("ptp")), conf: networks },
      hosts,
      runc: await requireCommand("runc"),
    }),
  );
  const ctr = (...args: string[]) =>
    run(context.reaper, containerd.program("ctr"), ["--address", SOCKET, ...args], { folder });
  const server = await startRestartable(() =>
    startServer(context, {
      name: "containerd",
      command: containerd.program("containerd"),
      args: ["--config", config],
      folder,
      // It looks for its shim there.
      env: {
        PATH: [dirname(containerd.program("containerd")), process.env.PATH].join(delimiter),
      },
      ready: () => ctr("version"),
    }),
  );
  return {
    importImages: async (archive) =>
      void (await ctr("--namespace", "k8s.io", "images", "import", archive)),
    async useRegistry(host, url) {
      await mkdir(join(hosts, host), { recursive: true });
      // containerd reads it for each pull.
      const capabilities = `capabilities = ["pull", "resolve"]`;
      await writeFile(
        join(hosts, host, "hosts.toml"),
        `server = ${JSON.stringify(url)}\n[host.${JSON.stringify(url)}]\n${capabilities}\n`,
      );
    },
    async containersOf(namespace) {
      const filter = `labels."io.kubernetes.pod.namespace"==${namespace}`;
      const ids = await ctr("--namespace", "k8s.io", "containers", "list", "--quiet", filter);
      return ids.split("\n").filter((id) => id !== "");
    },
    containerd: server,
  };
}

/** Point-to-point links need no bridge, so none of the machine's settings for bridges. */
function podNetwork(folder: string) {
  return {
    cniVersion: "1.0.0",
    name: "pods",
    plugins: [
      {
        type: "ptp",
        ipam: {
          type: "host-local",
          ranges: [[{ subnet: POD_RANGE }]],
          routes: [{ dst: "0.0.0.0/0" }],
          dataDir: join(folder, "addresses"),
        },
      },
    ],
  };
}

function toToml(options: {
  root: string;
  cni: { bin: string; conf: string };
  hosts: string;
  runc: string;
}): string {
  const { root, cni, hosts, runc } = options;
  const text = (value: string) => JSON.stringify(value);
  return `
version = 3
root = ${text(root)}
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = ${text(SOCKET)}

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = ${text(PAUSE_IMAGE)}

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = ${text(hosts)}

[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE no process may lower its score, and runc fails if it has to.
  restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [${text(cni.bin)}]
  conf_dir = ${text(cni.conf)}

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = ${text(runc)}
  SystemdCgroup = false
`;
}
