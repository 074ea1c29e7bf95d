import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { type Account, defaultPlaceholder } from "../../core/registry.ts";
import type { SandboxNode } from "../cluster.ts";
import type { Context, Part } from "../context.ts";
import { writeArchive } from "../images/archive.ts";
import { Blobs } from "../images/blobs.ts";
import { buildDockerfile } from "../images/dockerfile/build.ts";
import { type Image, packImage } from "../images/image.ts";
import { packAgent } from "../images/programs.ts";
import { locate, provideImages } from "../images/provide.ts";
import { pushImage } from "../images/push.ts";

const PLACEHOLDER_SOURCES = join(import.meta.dirname, "../../placeholder");
const STAND_IN = "agent-stand-in";

export interface PlatformImageOptions {
  /** The registry in the names of the platform's images. */
  readonly registry: string;
  /** The sandbox's registry, and its administrator. */
  readonly server: Account & { readonly url: string };
  readonly agentImage: string;
}

/**
 * Provides the images that a platform needs before its projects have a build: the placeholder in the
 * registry, and the log agent's on the node. Returns the log agent as a part of the sandbox. Without
 * Fluent Bit that is a stand-in: its pods become Ready, and send no lines.
 */
export async function providePlatformImages(
  context: Context,
  node: SandboxNode,
  options: PlatformImageOptions,
): Promise<Part> {
  const folder = await mkdtemp(join(context.folder, "platform-images-"));
  const [agent] = await Promise.all([
    provideAgent(context, node, folder, options),
    pushPlaceholder(context, folder, options),
  ]);
  return agent;
}

async function provideAgent(
  { report }: Context,
  { programs, importImages }: SandboxNode,
  folder: string,
  { agentImage }: PlatformImageOptions,
): Promise<Part> {
  const blobs = new Blobs(join(folder, "agent"));
  const { complete } = locate(agentImage);
  const { images } = await provideImages(blobs, [{ name: agentImage, pack: packAgent }], {
    report,
  });
  const standIn = (): Promise<Image> =>
    packImage(blobs, [[{ path: `/${STAND_IN}`, source: programs.program(STAND_IN) }]], {
      entrypoint: [`/${STAND_IN}`],
    });
  const archive = join(folder, "agent.tar");
  await writeArchive(archive, { [complete]: images[complete] ?? (await standIn()) });
  await importImages(archive);
  const isReal = complete in images;
  return {
    name: "Log agent",
    real: isReal,
    address: agentImage,
    reach: isReal
      ? "Fluent Bit sends the lines of all pods to Citadel"
      : "left out: no `fluent-bit` in PATH, and no registry to pull it from. Its pods send no lines",
  };
}

async function pushPlaceholder(
  { reaper, report }: Context,
  folder: string,
  { registry, server }: PlatformImageOptions,
): Promise<void> {
  const image = await buildDockerfile({
    context: PLACEHOLDER_SOURCES,
    folder,
    blobs: new Blobs(join(folder, "placeholder")),
    spawn: (...args) => reaper.spawn(...args),
  });
  const name = defaultPlaceholder(registry);
  const [, repository = "", tag = ""] = /^[^/]+\/(.+):([^:]+)$/.exec(name) ?? [];
  const { url, username, password } = server;
  await pushImage(image, { url, repository, tag, account: { username, password } });
  report("images", `${name}: built and pushed`);
}
