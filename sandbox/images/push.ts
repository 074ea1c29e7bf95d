import { InfraError } from "../../core/errors.ts";
import { type Account, REPOSITORY_NAME } from "../../core/registry.ts";
import { NegotiatedAuthorization } from "../../providers/registry/authorization.ts";
import { Registry } from "../../providers/registry/client.ts";
import { TAG } from "./archive.ts";
import type { Image } from "./image.ts";

export interface PushOptions {
  /** The registry's address, such as `http://127.0.0.1:5000`. */
  readonly url: string;
  readonly repository: string;
  readonly tag: string;
  readonly account: Account;
}

/**
 * Pushes a packed image with an account, in the way that the registry asks for: basic authentication
 * or tokens. Returns the digest of the manifest.
 * Errors: RDEV_SANDBOX for a malformed name; RDEV_UNAUTHORIZED if the registry does not know the
 * account; RDEV_FORBIDDEN if the account may not push there; RDEV_UNREACHABLE.
 */
export async function pushImage(
  { blobs, manifest, config, layers }: Image,
  { url, repository, tag, account }: PushOptions,
): Promise<string> {
  if (!REPOSITORY_NAME.test(repository) || !TAG.test(tag)) {
    const name = JSON.stringify(`${repository}:${tag}`);
    throw new InfraError("RDEV_SANDBOX", `${name} is not an image's name, such as team/my-app:1.`);
  }
  const credential = `the account ${account.username}`;
  const registry = new Registry({
    url,
    credential,
    secrets: [account.password],
    authorization: new NegotiatedAuthorization({ url, ...account }, credential),
  });
  const contents = [...layers, config].map(({ digest }) => ({
    digest,
    read: () => blobs.read(digest),
  }));
  await registry.push(repository, tag, (await blobs.read(manifest.digest)).toString(), contents);
  return manifest.digest;
}
