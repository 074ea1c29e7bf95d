import { difference } from "../../core/adoption.ts";
import { markIn, ownershipOf, retainedMarkText } from "../../core/ownership.ts";
import type { AdoptedProject, Adoption, FoundObject } from "../adoption.ts";
import { dnsClient } from "./client.ts";
import { host } from "./leftovers.ts";
import { type Dns, RECORD_TYPES, type RecordSet, recordType } from "./port.ts";

/** Keeps the record of the type that the platform's ingress needs. Records such as TXT are not looked at. */
export const adoption: Adoption = {
  async find(project) {
    const type = recordType(project.settings.ingressAddress);
    const sets = await dnsClient().find(project.settings.domain, host(project));
    return sets.flatMap((set) => {
      if (set.type === type) return [adoptable(set, project)];
      const isInTheWay = type === "CNAME" || RECORD_TYPES.some((each) => each === set.type);
      if (!isInTheWay) return [];
      const problem = `is in the way of the ${type} record that the project needs. Remove it.`;
      return [{ ...adoptable(set, project), changes: [], problems: [problem] }];
    });
  },

  async mark(project) {
    const { owner, settings } = project;
    const dns = dnsClient();
    for (const set of await unmarked(dns, project)) {
      await dns.put(settings.domain, { ...set, comment: retainedMarkText(owner) }, set.comment);
    }
  },
};

function adoptable(set: RecordSet, { owner, settings }: AdoptedProject): FoundObject {
  const { name, type, contents, ttl, comment } = set;
  const mark = markIn(comment);
  return {
    what: `record ${name} ${type} ${contents.join(" ")}`,
    whose: ownershipOf(mark, owner),
    changes: [
      ...difference("content", contents.join(" "), settings.ingressAddress),
      ...difference("TTL", ttl, settings.dnsTtl),
      ...(comment === "" || mark ? [] : [`comment ${JSON.stringify(comment)} → the mark`]),
    ],
    problems: [],
  };
}

async function unmarked(dns: Dns, project: AdoptedProject): Promise<RecordSet[]> {
  const { owner, settings } = project;
  const type = recordType(settings.ingressAddress);
  const sets = await dns.find(settings.domain, host(project));
  return sets.filter(
    (set) => set.type === type && ownershipOf(markIn(set.comment), owner) === "unmarked",
  );
}
