import { type Citadel, startCitadel } from "../../sandbox/citadel/server.ts";
import { itKeepsTheContract } from "../contract/citadel.ts";

describe("the stand-in for Citadel", () => {
  const organization = "orchard9";
  let server: Citadel;

  before(async () => {
    server = await startCitadel({ organization });
  });

  itKeepsTheContract(() => ({ ...server, organization, throwaway: true }));

  // Runs after the hooks of the suite, which delete its tenants.
  after(() => server.close());
});
