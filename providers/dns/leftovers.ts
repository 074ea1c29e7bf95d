import { markIn } from "../../core/ownership.ts";
import { type LeftoverProbe, leftOrNotOurs, type ProbedProject } from "../leftover-probe.ts";
import { dnsClient } from "./client.ts";

/** Finds the records with the project's name, of every type. */
export const leftovers: LeftoverProbe = {
  describe: (project) => `record ${host(project)}`,
  async find(project) {
    const sets = await dnsClient().find(project.settings.domain, host(project));
    return sets.map(({ name, type, contents, comment }) => ({
      what: `record ${name} ${type} ${contents.join(" ")}`,
      why: leftOrNotOurs(markIn(comment), project.owner),
    }));
  },
};

export function host({ slug, settings }: ProbedProject): string {
  return `${slug}.${settings.domain}`;
}
