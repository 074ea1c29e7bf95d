import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { request } from "undici";
import { type DnsServer, itKeepsRecords } from "../support/dns-suite.ts";
import { testVariables, variable } from "../support/variables.ts";

interface Rrset {
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  readonly records: readonly { readonly content: string }[];
  readonly comments: readonly { readonly content: string }[];
}

describe("dns:Record on PowerDNS", () => {
  const zone = `t${randomBytes(4).toString("hex")}.example`;
  const set = testVariables();

  before(() =>
    call("POST", "", { name: `${zone}.`, kind: "Native", nameservers: [`ns.${zone}.`] }),
  );
  after(() => call("DELETE", `/${zone}.`));
  beforeEach(() => set({ DNS_PROVIDER: "powerdns" }));

  const rrsets = async (name: string): Promise<Rrset[]> => {
    const text = await call("GET", `/${zone}.?rrset_name=${name}.`);
    const { rrsets: found } = JSON.parse(text) as { rrsets: Rrset[] };
    // PowerDNS 4.7 adds the comments of all other names.
    return found.filter((rrset) => rrset.name === `${name}.` && rrset.records.length > 0);
  };
  const change = (name: string, rrset: object) =>
    call("PATCH", `/${zone}.`, { rrsets: [{ name: `${name}.`, ...rrset }] });

  const server: DnsServer = {
    url: "POWERDNS_URL",
    credential: "POWERDNS_API_KEY",
    writes: "PATCH",
    zone: () => zone,
    async add(name, { type, content, ttl, comment }) {
      await change(name, {
        type,
        ttl,
        changetype: "REPLACE",
        records: [{ content: type === "CNAME" ? `${content}.` : content, disabled: false }],
        ...(comment && { comments: [{ content: comment, account: "" }] }),
      });
    },
    async records(name) {
      const found = await rrsets(name);
      return found
        .map(({ type, ttl, records, comments }) => ({
          type,
          content: records.map(({ content }) => content.replace(/\.$/, "")).join(" "),
          ttl,
          comment: comments.map(({ content }) => content).join(" "),
        }))
        .sort((a, b) => a.type.localeCompare(b.type));
    },
    async removeAll(name) {
      for (const { type } of await rrsets(name)) await change(name, { type, changetype: "DELETE" });
    },
  };

  itKeepsRecords(server);
});

async function call(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, json?: object) {
  const id = process.env["POWERDNS_SERVER_ID"] ?? "localhost";
  const answer = await request(`${variable("POWERDNS_URL")}/api/v1/servers/${id}/zones${path}`, {
    method,
    headers: { "x-api-key": variable("POWERDNS_API_KEY") },
    body: json ? JSON.stringify(json) : null,
  });
  const text = await answer.body.text();
  assert.ok(answer.statusCode < 300, `${method} ${path}: ${answer.statusCode} ${text}`);
  return text;
}
