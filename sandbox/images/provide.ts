import { userMessage } from "../../core/errors.ts";
import type { Report } from "../context.ts";
import { TAG } from "./archive.ts";
import type { Blobs } from "./blobs.ts";
import type { Image } from "./image.ts";
import { pullImage } from "./pull.ts";

/** An image that pods name. */
export interface WantedImage {
  /** The name that a pod gives: `fluent/fluent-bit:5.1.1`. */
  readonly name: string;
  /** Packs it from local parts. Undefined if the machine lacks one of them. */
  readonly pack: (blobs: Blobs) => Promise<Image | undefined>;
}

export interface ProvidedImages {
  /** By complete name, for `writeArchive`. */
  readonly images: Readonly<Record<string, Image>>;
  /** The names that are neither in a reachable registry nor can be packed. */
  readonly missing: readonly string[];
}

export interface ProvideOptions {
  readonly report: Report;
  /** Whether a registry answers. @default a probe of 2 s */
  readonly isReachable?: (url: string) => Promise<boolean>;
}

/** In ms. A registry that needs longer to answer is too slow to wait for. */
const PROBE_DEADLINE = 2_000;

/** Docker's name for its registry, and the host that answers for it. */
const DOCKER = { name: "docker.io", host: "registry-1.docker.io" };

/**
 * Gets images from their public registries, or packs those that it cannot get. Reports for each image
 * where it comes from.
 */
export async function provideImages(
  blobs: Blobs,
  wanted: readonly WantedImage[],
  { report, isReachable = answers }: ProvideOptions,
): Promise<ProvidedImages> {
  const images: Record<string, Image> = {};
  const missing: string[] = [];
  const reachable = new Map<string, Promise<boolean>>();
  for (const { name, pack } of wanted) {
    const { url, repository, reference, complete } = locate(name);
    const isUp = reachable.get(url) ?? isReachable(url);
    reachable.set(url, isUp);
    const pulled = (await isUp)
      ? await pullImage(blobs, { url, repository, reference }).catch((error: unknown) => {
          report("images", `${name} could not be pulled (${userMessage(error)})`);
          return undefined;
        })
      : undefined;
    // An archive names images by tags. A name with a digest asks for exactly the registry's image.
    const image = pulled ?? (TAG.test(reference) ? await pack(blobs) : undefined);
    if (image) images[complete] = image;
    else missing.push(name);
    const origin = pulled ? "pulled from its registry" : "packed from local parts";
    report("images", `${name}: ${image ? origin : "neither pulled nor packed"}`);
  }
  return { images, missing };
}

/** The registry of an image, by Docker's rules: `fluent/fluent-bit` is docker.io/fluent/fluent-bit. */
export function locate(name: string): {
  readonly url: string;
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
  /** The name with host and tag. */
  readonly complete: string;
} {
  const [, first = "", rest] = /^([^/]+)\/(.+)$/.exec(name) ?? [];
  const hasHost = /[.:]/.test(first) || first === "localhost";
  const host = hasHost ? first : DOCKER.name;
  const path = hasHost ? (rest ?? "") : name;
  const [, bare = "", tag = "latest", digest] =
    /^([^:@]+)(?::([^@]+))?(?:@(.+))?$/.exec(path) ?? [];
  const repository = host === DOCKER.name && !bare.includes("/") ? `library/${bare}` : bare;
  return {
    url: `https://${host === DOCKER.name ? DOCKER.host : host}`,
    repository,
    reference: digest ?? tag,
    complete: `${host}/${repository}:${tag}`,
  };
}

/** Whether a registry answers in time. A registry that asks for a token answers 401. */
async function answers(url: string): Promise<boolean> {
  try {
    const { status } = await fetch(`${url}/v2/`, { signal: AbortSignal.timeout(PROBE_DEADLINE) });
    return status === 200 || status === 401;
  } catch {
    return false;
  }
}
