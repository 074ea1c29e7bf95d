import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import type { Account } from "../../core/registry.ts";
import { challengeOf, tokenAnswer } from "../../providers/registry/authorization.ts";
import type { Blobs, Descriptor } from "./blobs.ts";
import { type Image, PLATFORM } from "./image.ts";

export interface PullOptions {
  /** The registry's address, such as `https://registry.example.com`. */
  readonly url: string;
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
  /** Missing for public images. */
  readonly account?: Account;
}

const INDEXES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];
const MANIFESTS = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];

/** In ms, for one request with its whole answer. */
const DEADLINE = 300_000;

const descriptor = z.object({
  mediaType: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, "is not a digest of SHA-256"),
  size: z.int().nonnegative(),
});

const manifest = z.object({ config: descriptor, layers: z.array(descriptor) });

const index = z.object({
  manifests: z.array(
    descriptor.extend({ platform: z.object({ os: z.string(), architecture: z.string() }) }),
  ),
});

/**
 * Pulls an image for this machine's platform into a store, by the distribution specification 1.1. All
 * digests are checked.
 * Errors: RDEV_UNAUTHORIZED or RDEV_FORBIDDEN if the registry refuses the account; RDEV_REFUSED if it
 * has no such image; RDEV_CONTRACT for content that does not match its digest; RDEV_UNREACHABLE.
 */
export async function pullImage(blobs: Blobs, options: PullOptions): Promise<Image> {
  const source = new Source(options);
  const manifestOf = async (reference: string): Promise<{ text: string; stored: Descriptor }> => {
    const accept = [...MANIFESTS, ...INDEXES].join(", ");
    const answer = await source.get(`manifests/${reference}`, accept);
    const type = answer.headers.get("content-type") ?? "";
    const stored = await store(blobs, type, answer, reference);
    return { text: (await blobs.read(stored.digest)).toString(), stored };
  };
  let { text, stored } = await manifestOf(options.reference);
  if (INDEXES.includes(stored.mediaType)) {
    const found = parsed(index, text, options).manifests.find(
      ({ platform }) =>
        platform.os === PLATFORM.os && platform.architecture === PLATFORM.architecture,
    );
    if (!found) {
      const platform = `${PLATFORM.os}/${PLATFORM.architecture}`;
      throw new InfraError("RDEV_REFUSED", `${nameOf(options)} has no image for ${platform}.`);
    }
    ({ text, stored } = await manifestOf(found.digest));
  }
  const { config, layers } = parsed(manifest, text, options);
  for (const { mediaType, digest } of [config, ...layers]) {
    await store(blobs, mediaType, await source.get(`blobs/${digest}`), digest);
  }
  return { blobs, manifest: stored, config, layers };
}

/** One repository of a registry, with the credentials that the registry asks for. */
class Source {
  readonly #options: PullOptions;
  #authorization: string | undefined;

  constructor(options: PullOptions) {
    this.#options = options;
  }

  async get(path: string, accept = "*/*"): Promise<Response> {
    const { url, repository } = this.#options;
    const address = `${url}/v2/${repository}/${path}`;
    let answer = await this.#fetch(address, accept, this.#authorization);
    if (answer.status === 401 && this.#authorization === undefined) {
      await answer.body?.cancel();
      this.#authorization = await this.#authorize(answer.headers.get("www-authenticate") ?? "");
      answer = await this.#fetch(address, accept, this.#authorization);
    }
    return this.#checked(answer, address);
  }

  /** The header for the registry's challenge: the account, or a token that the account gets. */
  async #authorize(header: string): Promise<string | undefined> {
    const { url, repository, account } = this.#options;
    const basic = account && Buffer.from(`${account.username}:${account.password}`);
    const authorization = basic && `Basic ${basic.toString("base64")}`;
    const challenge = challengeOf(header, url);
    if (!challenge) return authorization;
    const { realm, service } = challenge;
    realm.searchParams.set("service", service);
    realm.searchParams.set("scope", `repository:${repository}:pull`);
    const answer = await this.#fetch(realm.href, "application/json", authorization);
    const { token } = tokenAnswer.parse(await (await this.#checked(answer, realm.origin)).json());
    return `Bearer ${token}`;
  }

  async #fetch(address: string, accept: string, authorization?: string): Promise<Response> {
    try {
      // It follows redirects to a storage service, and does not send the credentials there.
      return await fetch(address, {
        headers: { accept, ...(authorization !== undefined && { authorization }) },
        signal: AbortSignal.timeout(DEADLINE),
      });
    } catch (cause) {
      const { origin } = new URL(address);
      throw new InfraError("RDEV_UNREACHABLE", `${origin} cannot be reached.`, { cause });
    }
  }

  async #checked(answer: Response, address: string): Promise<Response> {
    const { status } = answer;
    if (answer.ok) return answer;
    await answer.body?.cancel();
    const { account } = this.#options;
    const who = account ? `the account ${account.username}` : "a client without an account";
    const image = nameOf(this.#options);
    if (status === 401 && !this.#authorization?.startsWith("Bearer ")) {
      throw new InfraError("RDEV_UNAUTHORIZED", `${address} refused ${who}.`, { status });
    }
    if (status === 401 || status === 403) {
      throw new InfraError("RDEV_FORBIDDEN", `${who} may not pull ${image}.`, { status });
    }
    const reason = status === 404 ? "" : ` (${address} answered ${status})`;
    throw new InfraError("RDEV_REFUSED", `There is no image ${image}${reason}.`, { status });
  }
}

/** Stores an answer's content. If `expected` is a digest, the content must have it. */
async function store(
  blobs: Blobs,
  mediaType: string,
  { body, url }: Response,
  expected: string,
): Promise<Descriptor> {
  if (!body) throw new InfraError("RDEV_CONTRACT", `${url} has no content.`);
  const stored = await blobs.add(mediaType, body).catch((cause: unknown) => {
    throw new InfraError("RDEV_UNREACHABLE", `The download of ${url} broke off.`, { cause });
  });
  if (expected.startsWith("sha256:") && stored.digest !== expected) {
    throw new InfraError("RDEV_CONTRACT", `${url} has the digest ${stored.digest}.`);
  }
  return stored;
}

function parsed<S extends z.ZodType>(schema: S, text: string, options: PullOptions): z.output<S> {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const image = nameOf(options);
    throw new InfraError("RDEV_CONTRACT", `The manifest of ${image} is malformed.`, { cause });
  }
}

function nameOf({ url, repository, reference }: PullOptions): string {
  const separator = reference.startsWith("sha256:") ? "@" : ":";
  return `${new URL(url).host}/${repository}${separator}${reference}`;
}
