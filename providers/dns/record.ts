import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import {
  markIn,
  markText,
  type Owner,
  ownerSchema,
  type Ownership,
  ownershipOf,
} from "../../core/ownership.ts";
import { define, type Failure } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { dnsClient } from "./client.ts";
import { type Dns, RECORD_TYPES, type RecordSet, type RecordType } from "./port.ts";

const dnsName = z
  .string()
  .regex(/^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]+$/, "is no lower-case DNS name");

/** What a record of each type may hold. */
const CONTENT: { readonly [T in RecordType]: z.ZodType<string> } = {
  A: z.ipv4("is no IPv4 address, as an A record needs"),
  AAAA: z.ipv6("is no IPv6 address, as an AAAA record needs"),
  CNAME: dnsName.refine((name) => !z.ipv4().safeParse(name).success, "is no host name"),
};

const inputs = z.object({
  /** Without a trailing dot, as `example.org`. */
  zone: dnsName,
  /** Fully qualified, without a trailing dot, as `my-app.example.org`. */
  name: dnsName,
  type: z.enum(RECORD_TYPES),
  /** One address, or one host name without a trailing dot. */
  content: z.string().min(1),
  /** Seconds. Cloudflare takes 60 or more. */
  ttl: z.int().min(1).max(604_800).default(300),
  owner: ownerSchema,
});

type Inputs = z.output<typeof inputs>;

const definition = define({
  module: "dns/record",
  type: "dns:Record",
  noun: "DNS record",
  inputs,
  attributes: z.object({}),
  replaceOn: ["zone", "name", "type"],
  secrets: [],

  connect: () => dnsClient(),

  rules({ zone, name, type, content }) {
    const failures: Failure[] = [];
    if (!name.endsWith(`.${zone}`)) {
      failures.push({ property: "name", reason: `does not lie in the zone ${zone}: ${name}` });
    }
    const wrong = CONTENT[type].safeParse(content).error?.issues[0];
    if (wrong) failures.push({ property: "content", reason: `${wrong.message}: ${content}` });
    return failures;
  },

  async find(dns, asked) {
    const sets = await dns.find(asked.zone, asked.name);
    const ours = sets.find((set) => isOurs(set, asked));
    if (ours) return { id: id(ours), ownership: "ours" };
    // An address or alias by hand is somebody's site, whichever of the types it has.
    const other = sets.find(
      (set) =>
        ownershipOfSet(set, asked.owner) !== "ours" &&
        (asked.type === "CNAME" || RECORD_TYPES.includes(set.type as RecordType)),
    );
    return other && { id: id(other), ownership: ownershipOfSet(other, asked.owner) };
  },

  async create(dns, asked) {
    await dns.put(asked.zone, wanted(asked), markText(asked.owner));
    return id(asked);
  },

  async apply(dns, _id, asked, last) {
    const set = await ourSet(dns, asked);
    // Right after a create there is nothing to do: a change would raise the zone's serial again.
    const isRight = set?.ttl === asked.ttl && holds(set, asked.content);
    const former = markText(set ? asked.owner : (last?.owner ?? asked.owner));
    if (!isRight) await dns.put(asked.zone, wanted(asked), former);
    return {};
  },

  async read(dns, _id, state) {
    const set = await ourSet(dns, state);
    if (!set) return undefined;
    // Several records in place of one are drift as well.
    const content = holds(set, state.content) ? state.content : set.contents.join(" ");
    return { ttl: set.ttl, content };
  },

  async delete(dns, _id, { zone, name, type, owner }) {
    await dns.delete(zone, { name, type, comment: markText(owner) });
  },
});

function id({ name, type }: { readonly name: string; readonly type: string }): string {
  return `${name}/${type}`;
}

function wanted({ name, type, ttl, content, owner }: Inputs): RecordSet {
  return { name, type, ttl, contents: [content], comment: markText(owner) };
}

function isOurs(set: RecordSet, { type, owner }: Inputs): boolean {
  return set.type === type && ownershipOfSet(set, owner) === "ours";
}

function ownershipOfSet({ comment }: RecordSet, owner: Owner): Ownership {
  return ownershipOf(markIn(comment), owner);
}

async function ourSet(dns: Dns, asked: Inputs): Promise<RecordSet | undefined> {
  const sets = await dns.find(asked.zone, asked.name);
  return sets.find((set) => isOurs(set, asked));
}

/** Whether the set is this content alone, in whichever spelling the server keeps it. */
function holds({ contents }: RecordSet, content: string): boolean {
  return contents.length === 1 && canonical(contents[0] ?? "") === canonical(content);
}

/** IPv6 addresses have many spellings; the URL standard has one. */
function canonical(content: string): string {
  const literal = `http://[${content}]`;
  return URL.canParse(literal) ? new URL(literal).hostname : content.toLowerCase();
}

export const provider = dynamicProvider(definition);

/** One address or alias record in a DNS zone. Delete deletes it, and no other of its name. */
export class Record extends DynamicResource<typeof definition> {
  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
