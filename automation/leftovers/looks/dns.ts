import { ownershipText } from "../../../core/ownership.ts";
import { dnsClient } from "../../../providers/dns/client.ts";
import { left, type Look, type Place } from "../look.ts";

/** Records of the project's name with its mark, of whatever type. */
export const dns: Look = {
  system: "dns",
  what: (place) => `record ${host(place)}`,
  async at(place) {
    const sets = await dnsClient().find(place.settings.domain, host(place));
    const own = sets.filter(({ comment }) => comment === ownershipText(place.slug));
    return left(
      ...own.map(({ name, type, contents }) => `record ${name} ${type} ${contents.join(" ")}`),
    );
  },
};

function host({ slug, settings }: Place): string {
  return `${slug}.${settings.domain}`;
}
