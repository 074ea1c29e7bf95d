import { markIn } from "../../../core/ownership.ts";
import { dnsClient } from "../../../providers/dns/client.ts";
import { type Look, type Place, standing } from "../look.ts";

/** Records of the project's name, of whatever type. */
export const dns: Look = {
  system: "dns",
  what: (place) => `record ${host(place)}`,
  async at(place) {
    const sets = await dnsClient().find(place.settings.domain, host(place));
    return sets.map(({ name, type, contents, comment }) => ({
      what: `record ${name} ${type} ${contents.join(" ")}`,
      why: standing(markIn(comment), place.owner),
    }));
  },
};

function host({ slug, settings }: Place): string {
  return `${slug}.${settings.domain}`;
}
