import { OWN_NAMESPACE } from "../../core/registry.ts";
import { type Check, ok } from "../check.ts";
import { Registry } from "./client.ts";

/** No content has this digest, as far as anybody knows, so a registry has nothing to delete. */
const IMPOSSIBLE_DIGEST = `sha256:${"0".repeat(64)}`;

export const checks: readonly Check[] = [
  {
    system: "Registry",
    name: "account",
    needs: ["registry"],
    run: async () => {
      await new Registry().tags(`${OWN_NAMESPACE}/doctor`);
      return ok("may sign in and pull");
    },
  },
  {
    system: "Registry",
    name: "deletes",
    needs: ["registry"],
    run: async () => {
      // A registry that forbids deletes says so before it looks for the manifest.
      await new Registry().deleteManifest(`${OWN_NAMESPACE}/doctor`, IMPOSSIBLE_DIGEST);
      return ok("lets the account delete manifests");
    },
  },
];
