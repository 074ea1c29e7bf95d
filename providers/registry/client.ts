import { createHash } from "node:crypto";
import type { Dispatcher } from "undici";
import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { type Answer, unless404 } from "../answers.ts";
import { type CallOptions, Http } from "../http.ts";
import { ADMINISTRATOR, type Authorization, NegotiatedAuthorization } from "./authorization.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
/** Every manifest type that CI may push. A registry answers 404 for a type that is not accepted. */
const MANIFESTS = [
  MANIFEST,
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");

/** The content that the OCI image specification recommends for an artifact without content. */
const EMPTY = { type: "application/vnd.oci.empty.v1+json", content: "{}" } as const;

const tagList = z.object({
  tags: z
    .array(z.string())
    .nullish()
    .transform((tags) => tags ?? []),
});

const manifest = z.object({ annotations: z.record(z.string(), z.string()).optional() });

/** Content that manifests refer to by its digest. */
export interface Blob {
  readonly digest: string;
  readonly read: () => Promise<Buffer>;
}

/** In ms. A layer may have hundreds of megabytes. */
const UPLOAD_DEADLINE = 300_000;

export type Annotations = Readonly<Record<string, string>>;

interface RegistryOptions {
  readonly url: string;
  readonly authorization: Authorization;
  /** The variables or the account behind the requests, for error texts. */
  readonly credential: string;
  /** Removed from every error text. */
  readonly secrets: readonly string[];
}

/**
 * An OCI registry such as Zot or distribution, by the distribution specification 1.1:
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md.
 */
export class Registry {
  readonly #http: Http;
  readonly #options: RegistryOptions;

  /** Default: the administrator's account. */
  constructor(options: RegistryOptions = administrator()) {
    const { url, credential, secrets } = options;
    this.#options = options;
    this.#http = new Http({ system: "The registry", url, headers: {}, secrets, credential });
  }

  /** All tags of a path, or none if the registry does not know the path. */
  async tags(path: string): Promise<string[]> {
    const tags: string[] = [];
    let next: string | undefined = `/v2/${path}/tags/list?n=1000`;
    while (next !== undefined) {
      const answer: Answer | undefined = await unless404(this.#send("GET", path, next));
      if (!answer) return tags;
      tags.push(...parsed(tagList, answer, next, "a list of tags").tags);
      next = this.#nextPage(answer);
    }
    return tags;
  }

  /** The annotations of a tag's manifest, or undefined if there is no such tag. */
  async annotations(path: string, tag: string): Promise<Annotations | undefined> {
    const url = `/v2/${path}/manifests/${tag}`;
    const headers = { accept: MANIFESTS };
    const answer = await unless404(this.#send("GET", path, url, { headers }));
    return answer && (parsed(manifest, answer, url, "a manifest").annotations ?? {});
  }

  /** The digest of a tag's manifest, or undefined if there is no such tag. */
  async digest(path: string, tag: string): Promise<string | undefined> {
    const url = `/v2/${path}/manifests/${tag}`;
    const answer = await unless404(
      this.#send("HEAD", path, url, { headers: { accept: MANIFESTS } }),
    );
    return answer && this.#header(answer, "docker-content-digest", `HEAD ${url}`);
  }

  /** Pushes a manifest that contains only annotations. */
  async pushEmpty(path: string, tag: string, artifactType: string, annotations: Annotations) {
    const descriptor = {
      mediaType: EMPTY.type,
      digest: sha256(EMPTY.content),
      size: EMPTY.content.length,
    };
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      artifactType,
      config: descriptor,
      layers: [descriptor],
      annotations,
    });
    const content = { digest: descriptor.digest, read: async () => Buffer.from(EMPTY.content) };
    await this.push(path, tag, manifest, [content]);
  }

  /** Pushes an OCI manifest and those of its blobs that the registry does not have yet. */
  async push(path: string, tag: string, manifest: string, blobs: readonly Blob[]): Promise<void> {
    for (const blob of blobs) await this.#pushBlob(path, blob);
    await this.#send("PUT", path, `/v2/${path}/manifests/${tag}`, {
      headers: { "content-type": MANIFEST },
      body: manifest,
    });
  }

  /** Deletes a manifest with all its tags. Throws RDEV_REFUSED if the registry forbids deletes. */
  async deleteManifest(path: string, digest: string): Promise<void> {
    try {
      await unless404(this.#send("DELETE", path, `/v2/${path}/manifests/${digest}`));
    } catch (error) {
      if (!(error instanceof InfraError && error.status === 405)) throw error;
      throw new InfraError(
        "RDEV_REFUSED",
        `The registry does not let manifests of ${path} be deleted. Allow it ` +
          "(distribution: storage.delete.enabled), or delete the path there yourself.",
        { status: 405 },
      );
    }
  }

  /** Throws RDEV_FORBIDDEN if the account may not push there. Begins an upload and cancels it. */
  async assertWritable(path: string): Promise<void> {
    const start = `/v2/${path}/blobs/uploads/`;
    const answer = await unless404(this.#send("POST", path, start));
    if (!answer) {
      throw new InfraError(
        "RDEV_FORBIDDEN",
        `The registry does not let ${this.#options.credential} push to ${path}.`,
        { status: 404 },
      );
    }
    const upload = new URL(this.#header(answer, "location", `POST ${start}`), this.#options.url);
    // If the account may not cancel it, the registry purges it later with other old uploads.
    await this.#send("DELETE", path, upload.pathname + upload.search).catch(() => undefined);
  }

  async #pushBlob(path: string, { digest, read }: Blob): Promise<void> {
    if (await unless404(this.#send("HEAD", path, `/v2/${path}/blobs/${digest}`))) return;
    const start = `/v2/${path}/blobs/uploads/`;
    const answer = await this.#send("POST", path, start);
    const upload = new URL(this.#header(answer, "location", `POST ${start}`), this.#options.url);
    upload.searchParams.set("digest", digest);
    // Only the path counts, because a registry behind a proxy may not know its own address.
    await this.#send("PUT", path, upload.pathname + upload.search, {
      headers: { "content-type": "application/octet-stream" },
      body: await read(),
      deadline: UPLOAD_DEADLINE,
    });
  }

  async #send(
    method: Dispatcher.HttpMethod,
    path: string,
    url: string,
    options: CallOptions = {},
  ): Promise<Answer> {
    const { authorization, credential } = this.#options;
    const headers = { ...options.headers, authorization: await authorization.header(path) };
    try {
      return await this.#http.send(method, url, { ...options, headers });
    } catch (error) {
      const isRefused = error instanceof InfraError && error.status === 401;
      if (!isRefused || !(await authorization.isByToken())) throw error;
      // The token service accepted the account, but its token has no right to this.
      throw new InfraError(
        "RDEV_FORBIDDEN",
        `The registry does not let ${credential} do ${method} ${url}: its token service gives ` +
          "that account no right to it.",
        { status: 403 },
      );
    }
  }

  #nextPage({ headers }: Answer): string | undefined {
    const link = /<([^>]+)>\s*;\s*rel="?next"?/.exec([headers["link"] ?? ""].flat().join(","))?.[1];
    if (link === undefined) return undefined;
    const { pathname, search } = new URL(link, this.#options.url);
    return pathname + search;
  }

  #header({ headers }: Answer, name: string, call: string): string {
    const value = headers[name];
    if (typeof value === "string") return value;
    throw contract(`answered ${call} without the header ${name}.`);
  }
}

function administrator(): RegistryOptions {
  const { url, username, password } = connection("registry");
  return {
    url,
    authorization: new NegotiatedAuthorization({ url, username, password }, ADMINISTRATOR),
    credential: ADMINISTRATOR,
    secrets: [password, Buffer.from(`${username}:${password}`).toString("base64")],
  };
}

function parsed<S extends z.ZodType>(schema: S, { text }: Answer, path: string, what: string) {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw contract(`answered GET ${path} with something else than ${what}.`);
  }
}

function contract(text: string): InfraError {
  return new InfraError("RDEV_CONTRACT", `The registry ${text}`);
}

function sha256(content: string): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}
