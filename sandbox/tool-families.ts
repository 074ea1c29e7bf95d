import {
  cniRelease,
  containerdRelease,
  etcdRelease,
  giteaRelease,
  kubeRouterRelease,
  kubernetesRelease,
  kwokRelease,
  pulumiRelease,
  registryRelease,
  type ReleaseLayout,
  traefikRelease,
} from "./releases.ts";

/** Programs that are built from one Go module in `tools/`, which pins their version. */
export interface ToolFamily {
  readonly name: string;
  /** The Go package of each program, by name. A package of this repository begins with `./`. */
  readonly programs: Readonly<Record<string, string>>;
  /** The module whose version is the family's. @default the module of the first program */
  readonly versionOf?: string;
  /** Whether the programs are linked without C libraries, so that they run in an empty image. */
  readonly isStatic?: boolean;
  readonly tags?: string;
  /** Variables that the linker sets. */
  readonly variables?: (version: string) => Readonly<Record<string, string>>;
  /** Folders of the module that the programs read at run time. */
  readonly assets?: readonly string[];
  /** Roughly how long a build takes beside another one on 2 cores. It decides the order. @default 0 */
  readonly buildSeconds?: number;
  /** Whether the module contains C code. */
  readonly needsC?: boolean;
  /** Where the official binaries are. @default they are special to rdev-infra, so always built */
  readonly release?: ReleaseLayout;
}

const K8S_VERSION = "k8s.io/component-base/version";

/** Without these variables clients cannot parse the version of a Kubernetes program. */
function kubernetesVersion(version: string): Readonly<Record<string, string>> {
  const [major = "", minor = ""] = version.slice(1).split(".");
  return {
    [`${K8S_VERSION}.gitVersion`]: version,
    [`${K8S_VERSION}.gitMajor`]: major,
    [`${K8S_VERSION}.gitMinor`]: minor,
  };
}

export const FAMILIES = {
  kubernetes: {
    name: "kubernetes",
    buildSeconds: 680,
    programs: {
      "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
      "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
      "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    },
    variables: kubernetesVersion,
    release: kubernetesRelease("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
  },
  // A module of its own, because only pipelines need it.
  kubectl: {
    name: "kubectl",
    buildSeconds: 60,
    programs: { kubectl: "k8s.io/kubernetes/cmd/kubectl" },
    variables: kubernetesVersion,
    release: kubernetesRelease("kubectl"),
  },
  pulumi: {
    name: "pulumi",
    buildSeconds: 160,
    programs: { pulumi: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi" },
    variables: (version) => ({
      "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": version,
    }),
    release: pulumiRelease,
  },
  gitea: {
    name: "gitea",
    buildSeconds: 430,
    programs: { gitea: "code.gitea.io/gitea" },
    tags: "sqlite sqlite_unlock_notify",
    variables: (version) => ({ "main.Version": version.slice(1) }),
    assets: ["templates", "options", "public"],
    needsC: true,
    release: giteaRelease,
  },
  kwok: {
    name: "kwok",
    buildSeconds: 110,
    programs: { kwok: "sigs.k8s.io/kwok/cmd/kwok" },
    release: kwokRelease,
  },
  registry: {
    name: "registry",
    buildSeconds: 100,
    programs: { registry: "github.com/distribution/distribution/v3/cmd/registry" },
    release: registryRelease,
  },
  etcd: {
    name: "etcd",
    buildSeconds: 26,
    programs: { etcd: "go.etcd.io/etcd/server/v3" },
    release: etcdRelease,
  },
} as const satisfies Record<string, ToolFamily>;

const CNI_PLUGINS = "github.com/containernetworking/plugins/plugins";
const CONTAINERD = "github.com/containerd/containerd/v2";
const KUBE_ROUTER = "github.com/cloudnativelabs/kube-router/v2";
const TRAEFIK = "github.com/traefik/traefik/v3";

/** What a real node needs in addition. */
export const NODE_FAMILIES = {
  // Not in the family `kubernetes`, so that a sandbox without a real node does not build them.
  kubelet: {
    name: "kubernetes-node",
    buildSeconds: 300,
    programs: {
      kubelet: "k8s.io/kubernetes/cmd/kubelet",
      "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    },
    variables: kubernetesVersion,
    release: kubernetesRelease("kubelet", "kube-proxy"),
  },
  containerd: {
    name: "containerd",
    buildSeconds: 150,
    programs: {
      containerd: `${CONTAINERD}/cmd/containerd`,
      "containerd-shim-runc-v2": `${CONTAINERD}/cmd/containerd-shim-runc-v2`,
      ctr: `${CONTAINERD}/cmd/ctr`,
    },
    // The node uses overlayfs only; these snapshotters need C libraries.
    tags: "no_btrfs no_devmapper no_zfs",
    isStatic: true,
    variables: (version) => ({ [`${CONTAINERD}/version.Version`]: version }),
    release: containerdRelease("containerd", "containerd-shim-runc-v2", "ctr"),
  },
  cni: {
    name: "cni",
    buildSeconds: 20,
    programs: {
      ptp: `${CNI_PLUGINS}/main/ptp`,
      loopback: `${CNI_PLUGINS}/main/loopback`,
      "host-local": `${CNI_PLUGINS}/ipam/host-local`,
    },
    isStatic: true,
    release: cniRelease("ptp", "loopback", "host-local"),
  },
  kubeRouter: {
    name: "kube-router",
    buildSeconds: 155,
    programs: { "kube-router": `${KUBE_ROUTER}/cmd/kube-router` },
    variables: (version) => ({ [`${KUBE_ROUTER}/pkg/version.Version`]: version }),
    release: kubeRouterRelease,
  },
  // Programs of this repository, among them a CoreDNS with few plugins: nobody publishes them.
  pods: {
    name: "pods",
    buildSeconds: 110,
    programs: {
      coredns: "./coredns",
      pause: "./pause",
      prober: "./prober",
      writer: "./writer",
      "agent-stand-in": "./agent-stand-in",
    },
    versionOf: "github.com/coredns/coredns",
    isStatic: true,
  },
} as const satisfies Record<string, ToolFamily>;

/** What a real node with an ingress needs in addition. */
export const INGRESS_FAMILIES = {
  // k3s brings this controller, too.
  traefik: {
    name: "traefik",
    buildSeconds: 300,
    programs: { traefik: `${TRAEFIK}/cmd/traefik` },
    isStatic: true,
    variables: (version) => ({ [`${TRAEFIK}/pkg/version.Version`]: version }),
    release: traefikRelease,
  },
} as const satisfies Record<string, ToolFamily>;

/** Servers that only tests start. */
export const TEST_FAMILIES = {
  // With one backend and one kind of server: the whole rclone has dozens.
  rclone: {
    name: "rclone",
    buildSeconds: 40,
    programs: { rclone: "./rclone" },
    versionOf: "github.com/rclone/rclone",
    isStatic: true,
  },
  // The transit engine of Vault: the last version under the Mozilla Public License.
  transit: {
    name: "transit",
    buildSeconds: 60,
    programs: { transit: "./transit" },
    versionOf: "github.com/hashicorp/vault",
    isStatic: true,
  },
} as const satisfies Record<string, ToolFamily>;
