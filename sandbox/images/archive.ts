import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { problems } from "../../core/errors.ts";
import { REPOSITORY_NAME } from "../../core/registry.ts";
import { pathInLayout } from "./blobs.ts";
import { type Image, PLATFORM } from "./image.ts";
import { type Member, writeTar } from "./tar.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";

/** The distribution specification's rule for a tag. */
export const TAG = /^\w[\w.-]{0,127}$/;

/**
 * Writes images as an OCI archive, a tar file of an OCI image layout. `ctr images import FILE` stores
 * each image under its name, such as `rdev.local/pause:1`. A name is complete, with host and tag,
 * because the kubelet asks for complete names.
 * Errors: RDEV_SANDBOX names every incomplete name.
 */
export async function writeArchive(
  file: string,
  images: Readonly<Record<string, Image>>,
): Promise<void> {
  const all = Object.entries(images).sort(([a], [b]) => (a < b ? -1 : 1));
  const incomplete = all.filter(([name]) => tagOf(name) === undefined);
  if (incomplete.length > 0) {
    throw problems(
      "RDEV_SANDBOX",
      "These are not complete image names, such as rdev.local/pause:1:",
      incomplete.map(([name]) => JSON.stringify(name)),
    );
  }
  const index = {
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: all.map(([name, { manifest }]) => ({
      ...manifest,
      platform: PLATFORM,
      annotations: {
        // containerd names the image after its own annotation; other tools read only the second.
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": tagOf(name),
      },
    })),
  };
  const sources = new Map<string, string>();
  for (const [, { blobs, manifest, config, layers }] of all) {
    for (const { digest } of [manifest, config, ...layers]) {
      sources.set(pathInLayout(digest), blobs.file(digest));
    }
  }
  await writeTar(
    [
      json("oci-layout", { imageLayoutVersion: "1.0.0" }),
      json("index.json", index),
      ...[...sources].sort().map(([name, source]) => ({ ...header(name), content: { source } })),
    ],
    (archive) => pipeline(archive, createWriteStream(file)),
  );
}

/** The tag of a complete name: a host with a dot or a port, a repository, and the tag. */
function tagOf(name: string): string | undefined {
  const [, host = "", repository = "", tag = ""] = /^([^/]+)\/(.+):([^:/]+)$/.exec(name) ?? [];
  const isComplete =
    (/[.:]/.test(host) || host === "localhost") && REPOSITORY_NAME.test(repository);
  return isComplete && TAG.test(tag) ? tag : undefined;
}

const header = (name: string) => ({ header: { name, mode: 0o644, type: "file" as const } });

const json = (name: string, value: unknown): Member => ({
  ...header(name),
  content: { content: JSON.stringify(value) },
});
