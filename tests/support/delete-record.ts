import { json, type ProjectOnServers } from "../../sandbox/proofs/project.ts";
import { variable } from "./variables.ts";

/** Deletes a project's DNS record, as a person would by hand. */
export async function deleteRecord({
  slug,
  domain,
}: Pick<ProjectOnServers, "slug" | "domain">): Promise<void> {
  const url = `${variable("POWERDNS_URL")}/api/v1/servers/localhost/zones/${domain}.`;
  const rrset = { name: `${slug}.${domain}.`, type: "A", changetype: "DELETE" };
  const headers = { "x-api-key": variable("POWERDNS_API_KEY") };
  await json(url, headers, { method: "PATCH", status: 204, body: { rrsets: [rrset] } });
}
