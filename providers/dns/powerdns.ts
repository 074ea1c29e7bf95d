import { z } from "zod";
import type { Connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { Http } from "../http.ts";
import type { Dns, RecordSet } from "./port.ts";

const zoneAnswer = z.object({
  rrsets: z.array(
    z.object({
      name: z.string(),
      type: z.string(),
      ttl: z.int(),
      records: z.array(z.object({ content: z.string(), disabled: z.boolean() })),
      comments: z.array(z.object({ content: z.string() })),
    }),
  ),
});

/**
 * PowerDNS' HTTP API, version 1: https://doc.powerdns.com/authoritative/http-api. It needs a backend
 * that stores comments, such as the generic SQL backends. Each name and type has one list of comments.
 */
export class PowerDns implements Dns {
  readonly #http: Http;
  readonly #zones: string;

  constructor({
    url,
    token,
    serverId,
  }: Omit<Extract<Connection<"dns">, { provider: "powerdns" }>, "provider">) {
    this.#zones = `/api/v1/servers/${encodeURIComponent(serverId)}/zones`;
    this.#http = new Http({
      system: "PowerDNS",
      url,
      headers: { "x-api-key": token },
      secrets: [token],
      credential: "POWERDNS_API_KEY",
    });
  }

  /** The key has all rights, so reading proves it. */
  async assertMayWrite(zone: string): Promise<void> {
    await this.find(zone, zone);
  }

  async find(zone: string, name: string): Promise<RecordSet[]> {
    const { rrsets } = await this.#inZone(zone, (path) =>
      this.#http.call("GET", path, zoneAnswer, { query: { rrset_name: `${name}.` } }),
    );
    // PowerDNS 4.7 also answers the comments of all other names, as sets without a record.
    const real = rrsets.filter((rrset) => rrset.name === `${name}.` && rrset.records.length > 0);
    return real.map(({ type, ttl, records, comments }) => ({
      name,
      type,
      ttl,
      // PowerDNS stores a disabled record, but does not serve it.
      contents: records
        .filter(({ disabled }) => !disabled)
        .map(({ content }) => content.replace(/\.$/, "")),
      comment: comments.map(({ content }) => content).join("\n"),
    }));
  }

  async put(zone: string, { name, type, ttl, contents, comment }: RecordSet): Promise<void> {
    await this.#change(zone, {
      name: `${name}.`,
      type,
      ttl,
      changetype: "REPLACE",
      records: contents.map((content) => ({
        content: type === "CNAME" ? `${content}.` : content,
        disabled: false,
      })),
      comments: [{ content: comment, account: "" }],
    });
  }

  async delete(zone: string, set: Pick<RecordSet, "name" | "type" | "comment">): Promise<void> {
    const found = await this.find(zone, set.name);
    if (!found.some(({ type, comment }) => type === set.type && comment === set.comment)) return;
    await this.#change(zone, { name: `${set.name}.`, type: set.type, changetype: "DELETE" });
  }

  async #change(zone: string, rrset: object): Promise<void> {
    await this.#inZone(zone, (path) =>
      this.#http.send("PATCH", path, { json: { rrsets: [rrset] } }),
    );
  }

  async #inZone<T>(zone: string, call: (path: string) => Promise<T>): Promise<T> {
    try {
      return await call(`${this.#zones}/${encodeURIComponent(zone)}.`);
    } catch (error) {
      if (!(error instanceof InfraError && isNoZone(error))) throw error;
      throw new InfraError(
        "RDEV_REFUSED",
        `PowerDNS has no zone ${zone}. Create it first, or correct POWERDNS_URL, ` +
          "POWERDNS_SERVER_ID or the setting rdev:domain.",
      );
    }
  }
}

/** PowerDNS before 4.2 answers 422 with this text. Newer versions answer 404. */
function isNoZone({ status, message }: InfraError): boolean {
  return status === 404 || (status === 422 && message.includes("Could not find domain"));
}
