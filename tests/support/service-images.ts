import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { packImage } from "../../sandbox/images/image.ts";
import { pushImage } from "../../sandbox/images/push.ts";
import { buildServiceImage } from "../../sandbox/service-image/build.ts";
import { APP, SERVICE_CONFIG } from "../../sandbox/service-image/layout.ts";

/** What makes a process one of the next release. */
export const NEXT_RELEASE = join(import.meta.dirname, "next-release.ts");

const REPOSITORY = "platform/rdev-infra";

/** The names of the service's images in the platform's registry. */
export interface ServiceImages {
  readonly current: string;
  /** The same program with one migration more. */
  readonly next: string;
}

/** Builds the image of this version and of the next one, and pushes both to the platform's registry. */
export async function pushServiceImages(
  { folder, env }: Sandbox,
  registry: string,
): Promise<ServiceImages> {
  const { image } = await buildServiceImage(join(folder, "service-image"), {
    report: () => undefined,
  });
  const inImage = `${APP}/tests/support/next-release.ts`;
  const next = await packImage(
    image.blobs,
    [[{ path: inImage, content: await readFile(NEXT_RELEASE) }]],
    { ...SERVICE_CONFIG, env: { ...SERVICE_CONFIG.env, NODE_OPTIONS: `--import=${inImage}` } },
    image.layers,
  );
  const { REGISTRY_URL: url = "", REGISTRY_USERNAME, REGISTRY_PASSWORD } = env;
  const account = { username: REGISTRY_USERNAME ?? "", password: REGISTRY_PASSWORD ?? "" };
  const push = async (tag: string, packed: typeof image) => {
    await pushImage(packed, { url, repository: REPOSITORY, tag, account });
    return `${registry}/${REPOSITORY}:${tag}`;
  };
  // One after the other: the second one then finds the layers of the first.
  return { current: await push("1", image), next: await push("2", next) };
}
