import { createHash } from "node:crypto";
import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { type Answer, Http } from "../http.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
/** Every kind of manifest that CI may push; one that is not accepted is answered with 404. */
const MANIFESTS = [
  MANIFEST,
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");

/** The OCI image specification's guidance for an artifact without content. */
const EMPTY = { type: "application/vnd.oci.empty.v1+json", content: "{}" } as const;

const tagList = z.object({
  tags: z
    .array(z.string())
    .nullish()
    .transform((tags) => tags ?? []),
});

const manifest = z.object({ annotations: z.record(z.string(), z.string()).optional() });

export type Annotations = Readonly<Record<string, string>>;

/**
 * An OCI registry, by the distribution specification 1.1 and with Basic authentication, as Zot and
 * distribution have it: https://github.com/opencontainers/distribution-spec/blob/main/spec.md.
 */
export class Registry {
  readonly #http: Http;
  readonly #url: string;

  constructor({ url, username, password } = connection("registry")) {
    const basic = Buffer.from(`${username}:${password}`).toString("base64");
    this.#url = url;
    this.#http = new Http({
      system: "The registry",
      url,
      headers: { authorization: `Basic ${basic}` },
      secrets: [password, basic],
      credential: "REGISTRY_USERNAME and REGISTRY_PASSWORD",
    });
  }

  /** All tags of a path; none where the registry does not know it. */
  async tags(path: string): Promise<string[]> {
    const tags: string[] = [];
    let next: string | undefined = `/v2/${path}/tags/list?n=1000`;
    while (next !== undefined) {
      const answer: Answer | undefined = await unless404(this.#http.send("GET", next));
      if (!answer) return tags;
      tags.push(...this.#parsed(answer, next).tags);
      next = this.#nextPage(answer);
    }
    return tags;
  }

  /** The annotations of a tag's manifest; undefined where there is no such tag. */
  async annotations(path: string, tag: string): Promise<Annotations | undefined> {
    const headers = { accept: MANIFESTS };
    const found = await this.#http.find(`/v2/${path}/manifests/${tag}`, manifest, { headers });
    return found && (found.annotations ?? {});
  }

  /** The digest that a tag stands for; undefined where there is no such tag. */
  async digest(path: string, tag: string): Promise<string | undefined> {
    const url = `/v2/${path}/manifests/${tag}`;
    const answer = await unless404(
      this.#http.send("HEAD", url, { headers: { accept: MANIFESTS } }),
    );
    return answer && this.#header(answer, "docker-content-digest", `HEAD ${url}`);
  }

  /** Pushes a manifest that holds nothing but annotations. */
  async pushEmpty(path: string, tag: string, artifactType: string, annotations: Annotations) {
    const descriptor = {
      mediaType: EMPTY.type,
      digest: sha256(EMPTY.content),
      size: EMPTY.content.length,
    };
    await this.#pushBlob(path, descriptor.digest, EMPTY.content);
    await this.#http.send("PUT", `/v2/${path}/manifests/${tag}`, {
      headers: { "content-type": MANIFEST },
      body: JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST,
        artifactType,
        config: descriptor,
        layers: [descriptor],
        annotations,
      }),
    });
  }

  /** Deletes a manifest with all its tags. Errors: RDEV_REFUSED where the registry allows none. */
  async deleteManifest(path: string, digest: string): Promise<void> {
    try {
      await this.#http.remove(`/v2/${path}/manifests/${digest}`, z.unknown());
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

  async #pushBlob(path: string, digest: string, content: string): Promise<void> {
    if (await unless404(this.#http.send("HEAD", `/v2/${path}/blobs/${digest}`))) return;
    const start = `/v2/${path}/blobs/uploads/`;
    const answer = await this.#http.send("POST", start);
    const upload = new URL(this.#header(answer, "location", `POST ${start}`), this.#url);
    upload.searchParams.set("digest", digest);
    // The path alone: behind a proxy a registry may name itself otherwise than it is reached.
    await this.#http.send("PUT", upload.pathname + upload.search, {
      headers: { "content-type": "application/octet-stream" },
      body: content,
    });
  }

  #parsed(answer: Answer, path: string) {
    try {
      return tagList.parse(JSON.parse(answer.text));
    } catch {
      throw contract(`answered GET ${path} with something else than a list of tags.`);
    }
  }

  #nextPage({ headers }: Answer): string | undefined {
    const link = /<([^>]+)>\s*;\s*rel="?next"?/.exec([headers["link"] ?? ""].flat().join(","))?.[1];
    if (link === undefined) return undefined;
    const { pathname, search } = new URL(link, this.#url);
    return pathname + search;
  }

  #header({ headers }: Answer, name: string, call: string): string {
    const value = headers[name];
    if (typeof value === "string") return value;
    throw contract(`answered ${call} without the header ${name}.`);
  }
}

function contract(text: string): InfraError {
  return new InfraError("RDEV_CONTRACT", `The registry ${text}`);
}

function sha256(content: string): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

async function unless404<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof InfraError && error.status === 404) return undefined;
    throw error;
  }
}
