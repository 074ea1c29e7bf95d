import { connection } from "../../core/connections.ts";
import { Cloudflare } from "./cloudflare.ts";
import type { Dns } from "./port.ts";
import { PowerDns } from "./powerdns.ts";

/** The adapter for the DNS server that the connection names. */
export function dnsClient(to = connection("dns")): Dns {
  return to.provider === "powerdns" ? new PowerDns(to) : new Cloudflare(to);
}
