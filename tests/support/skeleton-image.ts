import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { renderFile, TEMPLATE_VARIABLES, type TemplateValues } from "../../core/template.ts";
import { readTemplate, writeFiles } from "../../providers/git/template.ts";
import { Blobs } from "../../sandbox/images/blobs.ts";
import { buildDockerfile } from "../../sandbox/images/dockerfile/build.ts";
import type { Image } from "../../sandbox/images/image.ts";

/** Builds the image of the template `skeleton`, as the pipeline of a project with this slug does. */
export async function skeletonImage(folder: string, slug: string): Promise<Image> {
  const values = Object.fromEntries(
    Object.keys(TEMPLATE_VARIABLES).map((name) => [name, slug]),
  ) as TemplateValues;
  const context = await mkdtemp(join(folder, "skeleton-"));
  try {
    const files = readTemplate("skeleton").map((file) => renderFile(file, values));
    await writeFiles(context, files);
    return await buildDockerfile({ context, folder, blobs: new Blobs(folder) });
  } finally {
    await rm(context, { recursive: true });
  }
}
