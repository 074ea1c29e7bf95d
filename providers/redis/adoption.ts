import { markIn, ownershipOf, retainedMarkText } from "../../core/ownership.ts";
import type { Adoption } from "../adoption.ts";
import { withConnection } from "../leftover-probe.ts";
import { Redis } from "./client.ts";

/** Keeps the keys below the project's prefix. Redis stores no mark with a user: a hash has it. */
export const adoption: Adoption = {
  find: ({ slug, owner }, closing) =>
    withConnection(
      () => Redis.connect(),
      closing,
      async (client) => {
        const [user, mark] = [await client.user(slug), await client.mark(slug)];
        const whose = ownershipOf(markIn(mark), owner);
        const keys = (await client.hasKeys(`${slug}:`))
          ? [{ what: `keys ${slug}:*`, whose, changes: [], problems: [] }]
          : [];
        if (!user) return keys;
        const outside = patternsIn(user.rule).filter((pattern) => !pattern.startsWith(`${slug}:`));
        const lost =
          outside.length > 0 ? [`keys ${outside.join(" ")} stay, but out of its reach`] : [];
        const changes = ["a new password", `only keys and channels ${slug}:*`, ...lost];
        return [{ what: `user ${slug}`, whose, changes, problems: [] }, ...keys];
      },
    ),

  mark: ({ slug, owner }, closing) =>
    withConnection(
      () => Redis.connect(),
      closing,
      async (client) => {
        if (!(await client.user(slug))) return;
        if (ownershipOf(markIn(await client.mark(slug)), owner) !== "unmarked") return;
        await client.setMark(slug, retainedMarkText(owner));
      },
    ),
};

/** The key patterns in an ACL rule: `~app:*`, or `%R~app:*` for one kind of access. */
function patternsIn(rule: string): string[] {
  return rule.split(" ").flatMap((word) => /^(?:%[RW]+)?~(.+)$/.exec(word)?.[1] ?? []);
}
