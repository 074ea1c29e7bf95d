import assert from "node:assert/strict";
import { UNKNOWN } from "../../providers/dynamic/provider.ts";
import { provider as records } from "../../providers/dns/record.ts";
import { provider as paths } from "../../providers/registry/repository.ts";
import { provider as credentials } from "../../providers/woodpecker/registry-credentials.ts";
import { provider as secrets } from "../../providers/woodpecker/secret.ts";
import { testOwner } from "../support/owner.ts";

describe("the input checks of providers", () => {
  describe("dns:Record", () => {
    const record = {
      zone: "example.org",
      name: "my-app.example.org",
      type: "A",
      owner: testOwner("my-app"),
    };
    const failures = async (changes: object) =>
      (await records.check({}, { ...record, content: "192.0.2.1", ...changes })).failures ?? [];

    it("accepts addresses and host names with the right type", async () => {
      assert.deepEqual(await failures({}), []);
      assert.deepEqual(await failures({ type: "AAAA", content: "2001:db8::1" }), []);
      assert.deepEqual(await failures({ type: "CNAME", content: "ingress.example.org" }), []);
    });

    for (const [type, content] of [
      ["A", "2001:db8::1"],
      ["A", "192.0.2.300"],
      ["AAAA", "192.0.2.1"],
      ["CNAME", "192.0.2.1"],
      ["CNAME", "ingress.example.org."],
    ] as const) {
      it(`refuses ${content} in ${type === "A" ? "an A" : `a ${type}`} record`, async () => {
        const [failure, ...more] = await failures({ type, content });
        assert.equal(failure?.property, "content");
        assert.match(failure.reason, new RegExp(content));
        assert.deepEqual(more, []);
      });
    }

    it("refuses a name outside its zone, even if the text ends the same way", async () => {
      for (const name of ["my-app.example.com", "my-appexample.org", "example.org"]) {
        const [failure] = await failures({ name });
        assert.equal(failure?.property, "name");
        assert.match(failure.reason, /is not in the zone example\.org/);
      }
    });

    it("accepts a content that is not known yet", async () => {
      assert.deepEqual(await failures({ content: UNKNOWN }), []);
    });

    it("replaces for a new name or type, not for a new address", async () => {
      const olds = { ...record, content: "192.0.2.1", ttl: 300 };
      const moved = await records.diff("", olds, { ...olds, content: "192.0.2.2" });
      assert.deepEqual(moved, { changes: true, replaces: [], deleteBeforeReplace: true });
      const { replaces } = await records.diff("", olds, { ...olds, type: "CNAME" });
      assert.deepEqual(replaces, ["type"]);
    });
  });

  describe("woodpecker:Secret", () => {
    const secret = {
      repositoryId: 1,
      name: "token",
      value: "s3cret-value",
      owner: testOwner("my-app"),
    };

    it("refuses pull request events", async () => {
      for (const event of ["pull_request", "pull_request_closed"]) {
        const { failures } = await secrets.check({}, { ...secret, events: ["push", event] });
        assert.equal(failures?.[0]?.property, "events.1");
        assert.match(failures[0].reason, /is none of cron, deployment/);
      }
    });

    it("ignores the order of events", async () => {
      const { inputs } = await secrets.check({}, { ...secret, events: ["tag", "push", "tag"] });
      assert.deepEqual(inputs.events, ["push", "tag"]);
    });

    it("does not show a value that it refuses", async () => {
      const { failures } = await secrets.check({}, { ...secret, value: 4711 });
      assert.equal(failures?.length, 1);
      assert.doesNotMatch(JSON.stringify(failures), /4711/);
    });
  });

  it("woodpecker:RegistryCredentials has no shared credentials among its inputs", async () => {
    const { inputs } = await credentials.check(
      {},
      { repositoryId: 1, owner: testOwner("my-app"), username: "u", password: "p" },
    );
    assert.deepEqual(inputs, {
      repositoryId: 1,
      credentialsVersion: 1,
      owner: testOwner("my-app"),
    });
  });

  describe("registry:Repository", () => {
    const failures = async (path: string) =>
      (await paths.check({}, { path, owner: testOwner("my-app") })).failures;

    it("accepts the names that the distribution specification allows", async () => {
      for (const path of ["my-app", "rdev/my-app", "a/b/c", "a.b__c--d"]) {
        assert.deepEqual(await failures(path), []);
      }
    });

    it("refuses other names", async () => {
      for (const path of ["", "My-App", "/my-app", "my-app/", "my-app:1", "../my-app", "a?b"]) {
        assert.equal((await failures(path))?.[0]?.property, "path", path);
      }
    });
  });
});
