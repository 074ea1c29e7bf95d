import { Resolver } from "node:dns/promises";
import { expect, type Sight, type Stage } from "./stage.ts";

/** Asks the DNS server for the project's name. */
export async function proveDns({ slug, domain, dns }: Stage): Promise<Sight> {
  const resolver = new Resolver();
  resolver.setServers([dns]);
  const addresses = await resolver.resolve4(`${slug}.${domain}`);
  expect(addresses.length === 1, "the name has one address");
  return [`${slug}.${domain} is ${addresses[0]}`];
}
