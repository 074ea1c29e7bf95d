import { type Check, ok, withSettings } from "../check.ts";
import { assertSeesAll, Woodpecker } from "./client.ts";

export const checks: readonly Check[] = [
  {
    system: "Woodpecker",
    name: "token",
    needs: ["woodpecker", "gitea"],
    run: withSettings(async ({ gitOrganization }) => {
      const woodpecker = new Woodpecker();
      await assertSeesAll(woodpecker, gitOrganization);
      const { login, admin } = await woodpecker.user();
      return ok(`${login} is ${admin ? "an administrator" : `an owner of ${gitOrganization}`}`);
    }),
  },
];
