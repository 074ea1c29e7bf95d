import { arch } from "node:process";
import { z } from "zod";
import { problems } from "../../core/errors.ts";
import type { Blobs, Descriptor } from "./blobs.ts";
import { type Entry, layerMembers } from "./layer.ts";

/** Media types of the OCI image specification 1.1. */
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar";

/** The time in every image, so that the time of packing does not change the digest. */
const CREATED = new Date(0).toISOString();

/** A user name or id, and after a colon a group name or id. */
const USER = /^[a-z0-9_][a-z0-9_-]*(:[a-z0-9_][a-z0-9_-]*)?$/;

const isPort = (port: string) =>
  /^\d+(\/(tcp|udp))?$/.test(port) && Number.parseInt(port) > 0 && Number.parseInt(port) < 2 ** 16;

const imageConfig = z
  .strictObject({
    /** The program and its first arguments. */
    entrypoint: z.array(z.string()).min(1, "names no program"),
    /** The arguments that a pod's `args` replaces. */
    command: z.array(z.string()),
    /** Environment variables. @default only PATH */
    env: z.record(z.string().regex(/^[^=\0]+$/, "is not a variable's name"), z.string()),
    /** Such as `65532:65532`. @default root */
    user: z.string().regex(USER, "is not a user, such as 65532:65532"),
    /** Ports that the image listens on: `8080` or `53/udp`. */
    ports: z.array(z.string().refine(isPort, "is not a port, such as 8080/tcp")),
    labels: z.record(z.string().min(1), z.string()),
    /** @default the root */
    folder: z.string().startsWith("/", "is not an absolute path"),
    /** Folders that are written to, also where the root file system is read-only. */
    volumes: z.array(z.string().startsWith("/", "is not an absolute path")),
  })
  .partial();

/** The config of an image. Everything is optional. */
export type ImageConfig = z.input<typeof imageConfig>;

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A packed image. Its blobs are in the store that it was packed into. */
export interface Image {
  readonly blobs: Blobs;
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** The platform of this machine in Go's words, as images name it. */
export const PLATFORM = { os: "linux", architecture: arch === "x64" ? "amd64" : arch };

/**
 * Packs an image for this machine's platform, with one layer for each list of entries, above the layers
 * of another image in the same store. The same input gives the same digest, at any time and in any folder.
 * Errors: RDEV_SANDBOX names everything that is wrong with the config or the entries.
 */
export async function packImage(
  blobs: Blobs,
  layers: readonly (readonly Entry[])[],
  config: ImageConfig = {},
  base: readonly Descriptor[] = [],
): Promise<Image> {
  const runtime = runtimeConfig(config);
  const packed = [...base];
  for (const entries of layers) {
    packed.push(await blobs.addTar(LAYER, await layerMembers(entries)));
  }
  const configBlob = await blobs.addJson(CONFIG, {
    created: CREATED,
    ...PLATFORM,
    config: runtime,
    rootfs: { type: "layers", diff_ids: packed.map(({ digest }) => digest) },
    history: packed.map(() => ({ created: CREATED, created_by: "rdev-infra" })),
  });
  const manifest = await blobs.addJson(MANIFEST, {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: configBlob,
    layers: packed,
  });
  return { blobs, manifest, config: configBlob, layers: packed };
}

/** The `config` object of the OCI image configuration. */
function runtimeConfig(config: ImageConfig) {
  const parsed = imageConfig.safeParse(config);
  if (!parsed.success) {
    const lines = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw problems("RDEV_SANDBOX", "The image's config is wrong:", lines);
  }
  const { entrypoint, command, env = {}, user, ports = [], labels, folder, volumes } = parsed.data;
  return {
    ...(user !== undefined && { User: user }),
    ...(ports.length > 0 && { ExposedPorts: Object.fromEntries(ports.map((p) => [named(p), {}])) }),
    Env: sorted({ PATH, ...env }).map(([name, value]) => `${name}=${value}`),
    ...(entrypoint && { Entrypoint: entrypoint }),
    ...(command && { Cmd: command }),
    ...(folder !== undefined && { WorkingDir: folder }),
    ...(volumes && { Volumes: Object.fromEntries(volumes.map((path) => [path, {}])) }),
    ...(labels && { Labels: Object.fromEntries(sorted(labels)) }),
  };
}

const named = (port: string) => (port.includes("/") ? port : `${port}/tcp`);

const sorted = (record: Readonly<Record<string, string>>) =>
  Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
