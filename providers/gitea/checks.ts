import { type Check, ok, withSettings } from "../check.ts";
import { Gitea } from "./client.ts";

export const checks: readonly Check[] = [
  {
    system: "Gitea",
    name: "token",
    needs: ["gitea"],
    run: withSettings(async ({ gitOrganization }) => {
      const gitea = new Gitea();
      await gitea.assertSeesAll(gitOrganization);
      await gitea.assertMayWrite(gitOrganization);
      return ok(`may write the organization ${gitOrganization} and its repositories`);
    }),
  },
];
