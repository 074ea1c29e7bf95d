import { markIn } from "../../core/ownership.ts";
import {
  type Leftover,
  type LeftoverProbe,
  leftOrNotOurs,
  withConnection,
} from "../leftover-probe.ts";
import { Redis } from "./client.ts";

/**
 * Finds the user, its mark, and keys with the project's prefix. Keys carry no mark, so they count as
 * the project's unless its user name belongs to somebody else.
 */
export const leftovers: LeftoverProbe = {
  describe: ({ slug }) => `user ${slug} and its keys`,
  find: ({ slug, owner }, closing) =>
    withConnection(
      () => Redis.connect(),
      closing,
      async (client) => {
        const [user, mark] = [await client.user(slug), await client.mark(slug)];
        const exists = user !== undefined || mark !== undefined;
        const why = exists ? leftOrNotOurs(markIn(mark), owner) : "left";
        const what = user ? `user ${slug}` : `mark of the user ${slug}`;
        const found: Leftover[] = exists ? [{ what, why }] : [];
        if (await client.hasKeys(`${slug}:`)) found.push({ what: `keys ${slug}:*`, why });
        return found;
      },
    ),
};
