import { PowerDns } from "../../providers/dns/powerdns.ts";
import { createStandIn, listen } from "../../sandbox/stand-in.ts";
import { rejected } from "../support/errors.ts";

describe("PowerDNS", () => {
  // The current version is tested in dns-powerdns.sandbox.test.ts.
  for (const [status, error] of [
    [404, "Not Found"],
    [422, "Could not find domain 'gone.example.'"],
  ] as const) {
    it(`says that a zone is missing, and not that a record is, when it answers ${status}`, async () => {
      const { app } = createStandIn();
      app.all("/*", async (_request, reply) => reply.code(status).send({ error }));
      const dns = new PowerDns({ url: await listen(app), token: "key", serverId: "localhost" });
      try {
        const set = { name: "a.gone.example", type: "A", comment: "" };
        for (const attempt of [
          () => dns.find("gone.example", set.name),
          () => dns.delete("gone.example", set),
        ]) {
          await rejected(attempt(), /^PowerDNS has no zone gone\.example/);
        }
      } finally {
        await app.close();
      }
    });
  }
});
