import { z } from "zod";
import type { Connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { type CallOptions, Http } from "../http.ts";
import type { Dns, RecordSet } from "./port.ts";

const zones = z.array(z.object({ id: z.string(), name: z.string() }));

const record = z.object({
  id: z.string(),
  type: z.string(),
  content: z.string(),
  ttl: z.int(),
  comment: z.string().nullish(),
});

type CloudflareRecord = z.output<typeof record>;

/** More records than one name has, so that one page is enough. Cloudflare allows 5,000,000. */
const PAGE_SIZE = 1000;

/** Ids are 32 hexadecimal digits. */
const IMPOSSIBLE_ID = "0".repeat(32);

/**
 * Cloudflare answers 400 or 403 to some wrong tokens. Its own codes identify them: 6003 is a malformed
 * Authorization header, 9109 an unknown token.
 */
const WRONG_TOKEN = /"code":\s*(6003|9109)\b/;

/**
 * Cloudflare's API, version 4: https://developers.cloudflare.com/api. The token needs the
 * permissions Zone:Read and DNS:Edit. Each record has its own comment.
 */
export class Cloudflare implements Dns {
  readonly #http: Http;
  readonly #zoneIds = new Map<string, Promise<string>>();

  constructor({
    url,
    token,
  }: Omit<Extract<Connection<"dns">, { provider: "cloudflare" }>, "provider">) {
    this.#http = new Http({
      system: "Cloudflare",
      url,
      headers: { authorization: `Bearer ${token}` },
      secrets: [token],
      credential: "CLOUDFLARE_API_TOKEN",
    });
  }

  /** Cloudflare checks the permission before it looks for the record, and none has this id. */
  async assertMayWrite(zone: string): Promise<void> {
    await this.#http.remove(`${await this.#path(zone)}/${IMPOSSIBLE_ID}`);
  }

  async find(zone: string, name: string): Promise<RecordSet[]> {
    const records = await this.#records(zone, name);
    const sets = Map.groupBy(records, ({ type, comment }) => `${type} ${comment ?? ""}`);
    return [...sets.values()].flatMap((members) => {
      const [first] = members;
      if (!first) return [];
      const { type, ttl, comment } = first;
      return { name, type, ttl, contents: members.map((m) => m.content), comment: comment ?? "" };
    });
  }

  async put(zone: string, set: RecordSet, formerComment: string): Promise<void> {
    const { name, type, ttl, contents, comment } = set;
    const path = await this.#path(zone);
    const old = await this.#set(zone, { name, type, comment: formerComment });
    for (const [index, content] of contents.entries()) {
      // Behind Cloudflare's proxy, TTL and address would be Cloudflare's.
      const json = { name, type, ttl, content, comment, proxied: false };
      const existing = old[index];
      if (existing) await this.#call("PUT", `${path}/${existing.id}`, record, { json });
      else await this.#call("POST", path, record, { json });
    }
    await this.#remove(path, old.slice(contents.length));
  }

  async delete(zone: string, set: Pick<RecordSet, "name" | "type" | "comment">): Promise<void> {
    await this.#remove(await this.#path(zone), await this.#set(zone, set));
  }

  async #set(zone: string, set: Pick<RecordSet, "name" | "type" | "comment">) {
    const records = await this.#records(zone, set.name);
    return records.filter((r) => r.type === set.type && (r.comment ?? "") === set.comment);
  }

  async #records(zone: string, name: string): Promise<CloudflareRecord[]> {
    const query = { "name.exact": name, per_page: PAGE_SIZE };
    return this.#call("GET", await this.#path(zone), z.array(record), { query });
  }

  async #remove(path: string, records: readonly CloudflareRecord[]): Promise<void> {
    for (const { id } of records) await this.#http.remove(`${path}/${id}`);
  }

  async #path(zone: string): Promise<string> {
    const id = this.#zoneIds.get(zone) ?? this.#zoneId(zone);
    this.#zoneIds.set(zone, id);
    return `/zones/${await id}/dns_records`;
  }

  /** The id of the zone, or of the nearest parent: `apps.example.org` may be in `example.org`. */
  async #zoneId(zone: string): Promise<string> {
    const labels = zone.split(".");
    const hidden: string[] = [];
    for (let from = 0; from <= labels.length - 2; from++) {
      const name = labels.slice(from).join(".");
      const [found] = await this.#call("GET", "/zones", zones, { query: { name } });
      if (found) {
        await this.#assertNoDelegation(found, hidden);
        return found.id;
      }
      hidden.push(name);
    }
    throw new InfraError(
      "RDEV_REFUSED",
      `Cloudflare shows no zone ${zone} and no parent of it. Create the zone first, let ` +
        "CLOUDFLARE_API_TOKEN see it (Zone:Read), or correct the setting rdev:domain.",
    );
  }

  /**
   * Throws RDEV_FORBIDDEN if the parent zone delegates one of the hidden names. A token sees only zones
   * that it has a permission for, so such a name is a zone, and its records would wrongly count as gone.
   */
  async #assertNoDelegation(
    zone: { readonly id: string; readonly name: string },
    hidden: readonly string[],
  ) {
    for (const name of hidden) {
      const query = { "name.exact": name, type: "NS" };
      const path = `/zones/${zone.id}/dns_records`;
      const delegations = await this.#call("GET", path, z.array(record), { query });
      if (!delegations.some(({ type }) => type === "NS")) continue;
      throw new InfraError(
        "RDEV_FORBIDDEN",
        `Cloudflare shows no zone ${name}, but the zone ${zone.name} delegates it, so it is a zone ` +
          "that CLOUDFLARE_API_TOKEN may not see. Give the token Zone:Read and DNS:Edit for it.",
      );
    }
  }

  async #call<T>(
    method: "GET" | "POST" | "PUT",
    path: string,
    schema: z.ZodType<T>,
    options: CallOptions,
  ): Promise<T> {
    try {
      return await this.#http.call(method, path, envelope(schema), options);
    } catch (error) {
      if (error instanceof InfraError && WRONG_TOKEN.test(error.message)) {
        const { message, status } = error;
        throw new InfraError("RDEV_UNAUTHORIZED", message, { ...(status && { status }) });
      }
      throw error;
    }
  }
}

/** Cloudflare's wrapper around every result. */
function envelope<T>(result: z.ZodType<T>) {
  return z.object({ success: z.literal(true), result }).transform((answer) => answer.result);
}
