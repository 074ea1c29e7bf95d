import { ownershipText } from "../../../core/ownership.ts";
import { Redis } from "../../../providers/redis/client.ts";
import { left, onConnection, type Look } from "../look.ts";

/**
 * The user, its mark, and keys under the project's prefix. Keys carry no mark: they are the
 * project's unless a stranger's user has its name.
 */
export const redis: Look = {
  system: "redis",
  what: ({ slug }) => `user ${slug} and its keys`,
  at: ({ slug }, closing) =>
    onConnection(
      () => Redis.connect(),
      closing,
      async (client) => {
        const [user, mark] = [await client.user(slug), await client.mark(slug)];
        const isOurs = mark === ownershipText(slug);
        if (!isOurs && (user ?? mark)) return [];
        const found = isOurs ? [user ? `user ${slug}` : `mark of the user ${slug}`] : [];
        if (await client.hasKeys(`${slug}:`)) found.push(`keys ${slug}:*`);
        return left(...found);
      },
    ),
};
