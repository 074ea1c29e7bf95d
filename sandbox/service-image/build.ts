import { stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { PACKAGE } from "../../automation/engine/folders.ts";
import type { Report } from "../context.ts";
import { certificateAuthorities } from "../images/base.ts";
import { Blobs } from "../images/blobs.ts";
import { type Image, packImage } from "../images/image.ts";
import { entriesOf, type Entry } from "../images/layer.ts";
import { requireCommand } from "../process.ts";
import { cacheFolder } from "../tools.ts";
import { debianRoot } from "./debian-root.ts";
import { APP, DEBIAN, layoutEntries, PROGRAM, SERVICE_CONFIG } from "./layout.ts";
import { packageEntries } from "./production-packages.ts";
import { localEngine, pulumiEntries } from "./pulumi-files.ts";

export interface ServiceImage {
  readonly image: Image;
  /** Each layer: what it holds, and its size in bytes. */
  readonly parts: readonly { readonly name: string; readonly bytes: number }[];
}

/**
 * Builds the image of `Containerfile` from local parts: Debian's packages, the Node that runs this,
 * Pulumi's CLI and plugins (or the stand-ins for those that cannot be had), and this repository.
 * Errors: RDEV_PREREQUISITE on a machine without apt.
 */
export async function buildServiceImage(
  folder: string,
  { report }: { readonly report: Report },
): Promise<ServiceImage> {
  await requireCommand("dpkg-deb");
  const cache = join(cacheFolder(), "service-image");
  const debian = await debianRoot([...DEBIAN.base, ...DEBIAN.added], { cache, report });
  const engine = await localEngine(report);
  const layers: readonly (readonly [name: string, entries: readonly Entry[]])[] = [
    [`Debian, ${debian.packages.length} packages`, debian.entries],
    [`Node ${process.version}`, [{ path: "/usr/local/bin/node", source: process.execPath }]],
    [engine.description, await pulumiEntries(engine)],
    ["production packages", await packageEntries(PACKAGE, APP)],
    ["the program", await programEntries()],
    ["users and folders", [await certificateAuthorities(), ...layoutEntries()]],
  ];
  report("image", "packing");
  const blobs = new Blobs(folder);
  const image = await packImage(
    blobs,
    layers.map(([, entries]) => entries),
    SERVICE_CONFIG,
  );
  return {
    image,
    parts: layers.map(([name], at) => ({ name, bytes: image.layers[at]?.size ?? 0 })),
  };
}

/** The repository's files that the Containerfile copies. */
export async function programEntries(): Promise<Entry[]> {
  const entries = await Promise.all(
    PROGRAM.map(async (name): Promise<Entry[]> => {
      const [source, path] = [join(PACKAGE, name), posix.join(APP, name)];
      return (await stat(source)).isDirectory() ? entriesOf(source, path) : [{ path, source }];
    }),
  );
  return entries.flat();
}
