import { markIn } from "../../../core/ownership.ts";
import { Redis } from "../../../providers/redis/client.ts";
import { onConnection, type Look, type Sight, standing } from "../look.ts";

/**
 * The user, its mark, and keys under the project's prefix. Keys carry no mark: they are the
 * project's unless a stranger's user has its name.
 */
export const redis: Look = {
  system: "redis",
  what: ({ slug }) => `user ${slug} and its keys`,
  at: ({ slug, owner }, closing) =>
    onConnection(
      () => Redis.connect(),
      closing,
      async (client) => {
        const [user, mark] = [await client.user(slug), await client.mark(slug)];
        const isThere = user !== undefined || mark !== undefined;
        const why = isThere ? standing(markIn(mark), owner) : "left";
        const what = user ? `user ${slug}` : `mark of the user ${slug}`;
        const found: Sight[] = isThere ? [{ what, why }] : [];
        if (await client.hasKeys(`${slug}:`)) found.push({ what: `keys ${slug}:*`, why });
        return found;
      },
    ),
};
