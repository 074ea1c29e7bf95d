/** The sites that publish the official binaries. */
export const SITES = {
  kubernetes: "https://dl.k8s.io",
  gitea: "https://dl.gitea.com",
  github: "https://github.com",
  githubApi: "https://api.github.com",
} as const;

/** One version of a family, for this machine. */
export interface Release {
  readonly sites: Readonly<Record<keyof typeof SITES, string>>;
  /** With a `v`. */
  readonly version: string;
  /** In Go's words. */
  readonly arch: "amd64" | "arm64";
}

/** A published file: a program, or a `.tar.gz` of programs. */
export interface ReleaseFile {
  readonly url: string;
  /**
   * The document with its SHA-256: one digest, lines of `sha256sum`, or GitHub's description of a
   * release.
   */
  readonly checksum: string;
  /** The name of the only program, or the path in the archive of each program. */
  readonly contains: string | Readonly<Record<string, string>>;
}

/** The files that together contain a family's programs. */
export type ReleaseLayout = (release: Release) => readonly ReleaseFile[];

/** https://kubernetes.io/docs/setup/release/ */
export function kubernetesRelease(...programs: readonly string[]): ReleaseLayout {
  return ({ sites, version, arch }) =>
    programs.map((program) => {
      const url = `${sites.kubernetes}/${version}/bin/linux/${arch}/${program}`;
      return { url, checksum: `${url}.sha256`, contains: program };
    });
}

/** scripts/release.sh of etcd */
export const etcdRelease: ReleaseLayout = (release) => {
  const name = `etcd-${release.version}-linux-${release.arch}`;
  const checksum = asset(release, "etcd-io/etcd", "SHA256SUMS");
  return [
    {
      url: asset(release, "etcd-io/etcd", `${name}.tar.gz`),
      checksum,
      contains: { etcd: `${name}/etcd` },
    },
  ];
};

/** The targets `release-linux` and `release-check` of Gitea's Makefile. The assets are embedded. */
export const giteaRelease: ReleaseLayout = ({ sites, version, arch }) => {
  const number = version.slice(1);
  const url = `${sites.gitea}/gitea/${number}/gitea-${number}-linux-${arch}`;
  return [{ url, checksum: `${url}.sha256`, contains: "gitea" }];
};

/** The stage `releaser` of distribution's Dockerfile */
export const registryRelease: ReleaseLayout = (release) => {
  const name = `registry_${release.version.slice(1)}_linux_${release.arch}.tar.gz`;
  const url = asset(release, "distribution/distribution", name);
  return [{ url, checksum: `${url}.sha256`, contains: { registry: "registry" } }];
};

/** hack/releases.sh of kwok. It publishes no checksums, but GitHub does for each file of a release. */
export const kwokRelease: ReleaseLayout = (release) => {
  const { sites, version, arch } = release;
  const repository = "kubernetes-sigs/kwok";
  return [
    {
      url: asset(release, repository, `kwok-linux-${arch}`),
      checksum: `${sites.githubApi}/repos/${repository}/releases/tags/${version}`,
      contains: "kwok",
    },
  ];
};

/** .github/workflows/sign.yml of Pulumi. The archive also contains the hosts of other languages. */
export const pulumiRelease: ReleaseLayout = (release) => {
  const { version, arch } = release;
  const name = `pulumi-${version}-linux-${arch === "amd64" ? "x64" : arch}.tar.gz`;
  const programs = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"];
  return [
    {
      url: asset(release, "pulumi/pulumi", name),
      checksum: asset(release, "pulumi/pulumi", `pulumi-${version.slice(1)}-checksums.txt`),
      contains: Object.fromEntries(programs.map((program) => [program, `pulumi/${program}`])),
    },
  ];
};

/** The target `static-release` of containerd's Makefile */
export function containerdRelease(...programs: readonly string[]): ReleaseLayout {
  return (release) => {
    const name = `containerd-static-${release.version.slice(1)}-linux-${release.arch}.tar.gz`;
    const url = asset(release, "containerd/containerd", name);
    const contains = Object.fromEntries(programs.map((program) => [program, `bin/${program}`]));
    return [{ url, checksum: `${url}.sha256sum`, contains }];
  };
}

/** .github/workflows/release.yaml of the CNI plugins */
export function cniRelease(...programs: readonly string[]): ReleaseLayout {
  return (release) => {
    const name = `cni-plugins-linux-${release.arch}-${release.version}.tgz`;
    const url = asset(release, "containernetworking/plugins", name);
    const contains = Object.fromEntries(programs.map((program) => [program, program]));
    return [{ url, checksum: `${url}.sha256`, contains }];
  };
}

/** .goreleaser.yml of kube-router; the checksums have GoReleaser's default name. */
export const kubeRouterRelease: ReleaseLayout = (release) => {
  const { version, arch } = release;
  const name = `kube-router_${version.slice(1)}`;
  return [
    {
      url: asset(release, KUBE_ROUTER, `${name}_linux_${arch}.tar.gz`),
      checksum: asset(release, KUBE_ROUTER, `${name}_checksums.txt`),
      contains: { "kube-router": "kube-router" },
    },
  ];
};

/** .goreleaser.yml.tmpl of Traefik */
export const traefikRelease: ReleaseLayout = (release) => {
  const { version, arch } = release;
  return [
    {
      url: asset(release, TRAEFIK, `traefik_${version}_linux_${arch}.tar.gz`),
      checksum: asset(release, TRAEFIK, `traefik_${version}_checksums.txt`),
      contains: { traefik: "traefik" },
    },
  ];
};

const KUBE_ROUTER = "cloudnativelabs/kube-router";
const TRAEFIK = "traefik/traefik";

function asset({ sites, version }: Release, repository: string, name: string): string {
  return `${sites.github}/${repository}/releases/download/${version}/${name}`;
}
