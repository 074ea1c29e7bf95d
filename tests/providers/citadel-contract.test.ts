import { type Citadel, startCitadel } from "../../sandbox/citadel/server.ts";
import { itKeepsTheContract } from "../contract/citadel.ts";

describe("the stand-in for Citadel keeps the contract, as the adapter reads it", () => {
  const organization = "orchard9";
  let server: Citadel;

  before(async () => {
    server = await startCitadel({ organization });
  });

  itKeepsTheContract(() => ({ ...server, organization, throwaway: true }));

  // After the suite's own, which removes its tenants.
  after(() => server.close());
});
