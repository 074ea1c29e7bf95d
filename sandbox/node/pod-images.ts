import { join } from "node:path";
import { writeArchive } from "../images/archive.ts";
import { Blobs } from "../images/blobs.ts";
import { packImage } from "../images/image.ts";
import type { BuiltFamily } from "../tools.ts";
import { PLATFORM_IMAGES } from "../platform.ts";

/** The image of every pod's first container. */
export const PAUSE_IMAGE = "rdev.local/pause:1";
export const DNS_IMAGE = "rdev.local/coredns:1";
/** The image of tools/pods/prober. It listens on port 8080. */
export const PROBER_IMAGE = "rdev.local/prober:1";
/** The image of tools/pods/writer. It listens on port 8080. */
export const WRITER_IMAGE = "rdev.local/writer:1";

/** Packs the node's own images, without any registry. Returns the archive. */
export async function packPodImages(folder: string, pods: BuiltFamily): Promise<string> {
  const blobs = new Blobs(join(folder, "images"));
  const pack = (name: string, user?: string) =>
    packImage(blobs, [[{ path: `/${name}`, source: pods.program(name) }]], {
      entrypoint: [`/${name}`],
      ...(user && { user }),
    });
  const pause = await pack("pause", "65535:65535");
  const archive = join(folder, "images.tar");
  await writeArchive(archive, {
    [PAUSE_IMAGE]: pause,
    [DNS_IMAGE]: await pack("coredns"),
    [PROBER_IMAGE]: await pack("prober", "65532:65532"),
    [WRITER_IMAGE]: await pack("writer", "65532:65532"),
    // rdev itself is not here, but its pods should run.
    ...Object.fromEntries(PLATFORM_IMAGES.map((name) => [name, pause])),
  });
  return archive;
}
