import { hash } from "node:crypto";
import type { Key } from "./key.ts";
import type { Keys } from "./keys.ts";

/** In ms: how long a key that was revoked may go on, and what spares the database most look-ups. */
const KEPT = 1_000;

interface Recent {
  readonly key: Key;
  readonly until: number;
}

/** Keys as they were found a moment ago. Holds only keys that were good, so no flood fills it. */
export class RecentKeys {
  readonly #keys: Pick<Keys, "authenticate">;
  /** By the text's SHA-256: no secret stays in memory, and none can be told by a look-up's time. */
  readonly #recent = new Map<string, Recent>();

  constructor(keys: Pick<Keys, "authenticate">) {
    this.#keys = keys;
  }

  /** The key of a text, where it is good, or was within the last second. Rejects as `Store.run`. */
  async authenticate(text: string): Promise<Key | undefined> {
    const digest = digestOf(text);
    const recent = this.#recent.get(digest);
    if (recent && performance.now() < recent.until && !isExpired(recent.key)) return recent.key;
    const key = await this.#keys.authenticate(text);
    if (key) this.#recent.set(digest, { key, until: performance.now() + KEPT });
    else this.#recent.delete(digest);
    return key;
  }

  /** Whether it was good when it was last looked up. */
  has(text: string): boolean {
    return this.#recent.has(digestOf(text));
  }
}

function digestOf(text: string): string {
  return hash("sha256", text, "base64");
}

function isExpired({ expiresAt }: Key): boolean {
  return expiresAt !== null && expiresAt.getTime() <= Date.now();
}
