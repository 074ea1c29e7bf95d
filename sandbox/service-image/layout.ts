import { posix } from "node:path";
import type { ImageConfig } from "../images/image.ts";
import type { Entry } from "../images/layer.ts";

/** The user of the service's processes. */
const USER = { uid: 65_532, gid: 65_532 };

/** The program and its production packages. */
export const APP = "/app";

/** Pulumi's home: the CLI in `bin`, and the plugins where the engine looks for them. */
export const PULUMI_HOME = "/opt/pulumi";

const HOME = "/home/nonroot";

/** The files and folders of this repository that the service needs. */
export const PROGRAM = [
  "Pulumi.yaml",
  "automation",
  "cli",
  "components",
  "core",
  "deploy",
  "index.ts",
  "package.json",
  "page",
  "providers",
  "stacks",
  "templates",
] as const;

/** The Debian packages that the service needs of its base image, and those that are added to it. */
export const DEBIAN = {
  base: ["base-files", "coreutils", "dash", "libstdc++6"],
  added: ["ca-certificates", "git", "tini"],
} as const;

/** All folders that the service writes to. */
const VOLUMES = [HOME, `${PULUMI_HOME}/rdev-infra`, `${PULUMI_HOME}/workspaces`, "/tmp"];

/** What `Containerfile` sets, too. A test compares them. */
export const SERVICE_CONFIG = {
  entrypoint: ["/usr/bin/tini", "--", "/usr/local/bin/node", `${APP}/cli/rdev-infra.js`],
  command: ["service"],
  env: {
    HOME,
    PATH: `${PULUMI_HOME}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    PULUMI_CREDENTIALS_PATH: HOME,
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    PULUMI_HOME,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    RDEV_INFRA_LISTEN: "0.0.0.0:8080",
  },
  user: `${USER.uid}:${USER.gid}`,
  ports: ["8080"],
  folder: APP,
  volumes: VOLUMES,
} as const satisfies ImageConfig;

/**
 * The folders that the Containerfile makes, the command on PATH, and the users: Pulumi's CLI fails for a
 * user without a name.
 */
export function layoutEntries(): Entry[] {
  const text = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join("");
  return [
    {
      path: "/etc/passwd",
      content: text([
        "root:x:0:0:root:/root:/bin/sh",
        `nonroot:x:${USER.uid}:${USER.gid}::${HOME}:/usr/sbin/nologin`,
      ]),
    },
    { path: "/etc/group", content: text(["root:x:0:", `nonroot:x:${USER.gid}:`]) },
    { path: "/usr/local/bin/rdev-infra", link: posix.join(APP, "cli/rdev-infra.js") },
    { path: `${PULUMI_HOME}/policies`, folder: true },
    { path: `${PULUMI_HOME}/templates`, folder: true },
    ...VOLUMES.map((path): Entry =>
      path === "/tmp" ? { path, folder: true, mode: 0o1777 } : { path, folder: true, owner: USER },
    ),
  ];
}
