import type { Mount } from "../../automation/processes/bubblewrap.ts";

/** The programs of this machine that stand in for images. */
export interface Programs {
  readonly go: {
    /** Such as `go1.26.8`. */
    readonly version: string;
    /** The folder of the toolchain. */
    readonly root: string;
    /** The writable folder of Go's caches, which all steps share. */
    readonly cache: string;
    /** How this machine reaches the module proxy. */
    readonly environment: Readonly<Record<string, string>>;
  };
  readonly kubectl: { readonly path: string; readonly version: string };
  /** Does what kaniko's executor does, with the same arguments. */
  readonly executor: { readonly path: string; readonly mounts: readonly Mount[] };
}

/** What runs in place of an image. */
export interface Counterpart {
  /** For the step's log, such as `go1.26.8`. */
  readonly description: string;
  readonly mounts: readonly Mount[];
  /** Folders in which the step may write, apart from the workspace, its home and /tmp. */
  readonly folders: readonly string[];
  /** The variables that the image would have. */
  readonly environment: Readonly<Record<string, string>>;
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SHELL = "/bin/sh";

/** The images by name, without host, tag and digest. */
const COUNTERPARTS: Readonly<Record<string, (programs: Programs) => Counterpart>> = {
  golang: ({ go }) => ({ ...goCounterpart(go), description: go.version }),
  "alpine/kubectl": ({ kubectl: { path, version } }) => ({
    description: `kubectl ${version}`,
    mounts: [{ from: path, to: "/opt/kubectl/bin/kubectl" }],
    folders: [],
    environment: { PATH: `/opt/kubectl/bin:${PATH}` },
  }),
  "woodpeckerci/plugin-kaniko": ({ go, executor }) => {
    const base = goCounterpart(go);
    return {
      description: "a builder that packs the results of local programs",
      mounts: [
        ...base.mounts,
        ...executor.mounts,
        { from: SHELL, to: "/busybox/sh" },
        { from: executor.path, to: "/kaniko/executor" },
      ],
      folders: ["/kaniko/.docker"],
      environment: base.environment,
    };
  },
  "woodpeckerci/plugin-git": system,
  alpine: system,
  busybox: system,
  debian: system,
};

/** The counterpart of an image; undefined if there is none. */
export function counterpartOf(image: string, programs: Programs): Counterpart | undefined {
  const name = image
    .replace(/@.*$/, "")
    .replace(/:[^/:]*$/, "")
    .replace(/^docker\.io\//, "")
    .replace(/^library\//, "");
  return COUNTERPARTS[name]?.(programs);
}

export const KNOWN_IMAGES: readonly string[] = Object.keys(COUNTERPARTS);

function system(): Counterpart {
  return {
    description: "the system's own programs",
    mounts: [],
    folders: [],
    environment: { PATH },
  };
}

function goCounterpart({ root, cache, environment }: Programs["go"]) {
  return {
    mounts: [
      ...(root.startsWith("/usr/") ? [] : [{ from: root, to: root }]),
      { from: cache, to: "/go", writable: true },
    ],
    folders: [],
    environment: {
      ...environment,
      PATH: `${root}/bin:${PATH}`,
      GOPATH: "/go",
      GOCACHE: "/go/build-cache",
      GOTOOLCHAIN: "local",
    },
  };
}
