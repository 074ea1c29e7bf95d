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
import { dynamicResource } from "../dynamic/resource.ts";
import { dnsClient } from "./client.ts";
import { type Dns, RECORD_TYPES, type RecordSet, type RecordType } from "./port.ts";

const dnsName = z
  .string()
  .regex(/^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]+$/, "is not a lower-case DNS name");

/** The valid content of each record type. */
const CONTENT: { readonly [T in RecordType]: z.ZodType<string> } = {
  A: z.ipv4("is not the IPv4 address that an A record needs"),
  AAAA: z.ipv6("is not the IPv6 address that an AAAA record needs"),
  CNAME: dnsName.refine((name) => !z.ipv4().safeParse(name).success, "is not a host name"),
};

const inputs = z.object({
  /** Without a trailing dot: `example.org`. */
  zone: dnsName,
  /** Fully qualified, without a trailing dot: `my-app.example.org`. */
  name: dnsName,
  type: z.enum(RECORD_TYPES),
  /** One address, or one host name without a trailing dot. */
  content: z.string().min(1),
  /** Seconds. Cloudflare's minimum is 60. */
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
      failures.push({ property: "name", reason: `is not in the zone ${zone}: ${name}` });
    }
    const wrong = CONTENT[type].safeParse(content).error?.issues[0];
    if (wrong) failures.push({ property: "content", reason: `${wrong.message}: ${content}` });
    return failures;
  },

  async find(dns, wanted) {
    const sets = await dns.find(wanted.zone, wanted.name);
    const ours = sets.find((set) => isOurs(set, wanted));
    if (ours) return { id: id(ours), ownership: "ours", object: ours };
    // An address or alias of any type that somebody made by hand is somebody's site.
    const others = sets.filter(
      (set) =>
        ownershipOfSet(set, wanted.owner) !== "ours" &&
        (wanted.type === "CNAME" || RECORD_TYPES.includes(set.type as RecordType)),
    );
    const isOffered = (set: RecordSet) =>
      set.type === wanted.type && ownershipOfSet(set, wanted.owner) === "retained";
    const other = others.find((set) => !isOffered(set)) ?? others[0];
    if (!other) return undefined;
    const ownership = ownershipOfSet(other, wanted.owner);
    if (isOffered(other)) return { id: id(other), ownership, object: other };
    // Another type's record with this project's mark is in the way, too.
    return { id: id(other), ownership: ownership === "retained" ? "others" : ownership };
  },

  async create(dns, wanted) {
    await dns.put(wanted.zone, recordSet(wanted), markText(wanted.owner));
    return id(wanted);
  },

  async apply(dns, _id, wanted, last, found) {
    const set = found ?? (await ourSet(dns, wanted));
    // After a create nothing differs. Writing again would raise the zone's serial once more.
    const isRight =
      set !== undefined &&
      isOurs(set, wanted) &&
      set.ttl === wanted.ttl &&
      hasOnly(set, wanted.content);
    const former = set?.comment ?? markText(last?.owner ?? wanted.owner);
    if (!isRight) await dns.put(wanted.zone, recordSet(wanted), former);
    return {};
  },

  async read(dns, _id, state) {
    const set = await ourSet(dns, state);
    if (!set) return undefined;
    // Several records instead of one are drift too.
    const content = hasOnly(set, state.content) ? state.content : set.contents.join(" ");
    return { ttl: set.ttl, content };
  },

  async delete(dns, _id, { zone, name, type, owner }) {
    await dns.delete(zone, { name, type, comment: markText(owner) });
  },
});

function id({ name, type }: { readonly name: string; readonly type: string }): string {
  return `${name}/${type}`;
}

function recordSet({ name, type, ttl, content, owner }: Inputs): RecordSet {
  return { name, type, ttl, contents: [content], comment: markText(owner) };
}

function isOurs(set: RecordSet, { type, owner }: Inputs): boolean {
  return set.type === type && ownershipOfSet(set, owner) === "ours";
}

function ownershipOfSet({ comment }: RecordSet, owner: Owner): Ownership {
  return ownershipOf(markIn(comment), owner);
}

async function ourSet(dns: Dns, wanted: Inputs): Promise<RecordSet | undefined> {
  const sets = await dns.find(wanted.zone, wanted.name);
  return sets.find((set) => isOurs(set, wanted));
}

/** Whether the set has this content and no other, in any spelling. */
function hasOnly({ contents }: RecordSet, content: string): boolean {
  return contents.length === 1 && canonical(contents[0] ?? "") === canonical(content);
}

/** An IPv6 address has many spellings. The URL standard defines one. */
function canonical(content: string): string {
  const literal = `http://[${content}]`;
  return URL.canParse(literal) ? new URL(literal).hostname : content.toLowerCase();
}

export const provider = dynamicProvider(definition);

/** One address or alias record in a DNS zone. Delete deletes it, and no other with its name. */
export class Record extends dynamicResource(definition) {}
