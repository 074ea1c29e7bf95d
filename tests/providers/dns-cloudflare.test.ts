// Uses a small local server that follows Cloudflare's documentation.
import assert from "node:assert/strict";
import { dnsClient } from "../../providers/dns/client.ts";
import { provider } from "../../providers/dns/record.ts";
import { type FakeCloudflare, startCloudflare } from "../support/cloudflare.ts";
import { itKeepsRecords } from "../support/dns-suite.ts";
import { rejected } from "../support/errors.ts";
import { testVariables } from "../support/variables.ts";
import { testOwner } from "../support/owner.ts";

const ZONE = "example.org";
const TOKEN = "cloudflare-token-for-tests";

describe("dns:Record on Cloudflare", () => {
  const set = testVariables();
  let cloudflare: FakeCloudflare;
  let made = 0;

  before(async () => {
    cloudflare = await startCloudflare(ZONE, TOKEN);
  });
  after(() => cloudflare.close());
  beforeEach(() =>
    set({
      DNS_PROVIDER: "cloudflare",
      CLOUDFLARE_URL: cloudflare.url,
      CLOUDFLARE_API_TOKEN: TOKEN,
    }),
  );

  const named = (name: string) => [...cloudflare.records.values()].filter((r) => r.name === name);
  const add = async (
    name: string,
    record: { type: string; content: string; ttl: number; comment: string },
  ) => {
    const id = `by-hand-${++made}`;
    cloudflare.records.set(id, { id, name, ...record, comment: record.comment || null });
  };

  itKeepsRecords({
    url: "CLOUDFLARE_URL",
    credential: "CLOUDFLARE_API_TOKEN",
    writes: "POST",
    zone: () => ZONE,
    add,
    async records(name) {
      return named(name)
        .map(({ type, content, ttl, comment }) => ({ type, content, ttl, comment: comment ?? "" }))
        .sort((a, b) => a.type.localeCompare(b.type));
    },
    async removeAll(name) {
      for (const { id } of named(name)) cloudflare.records.delete(id);
    },
  });

  it("shows whether the token may edit DNS, without a change", async () => {
    const client = dnsClient();
    await client.assertMayWrite(ZONE);
    const refusal = { success: false, errors: [{ code: 10000, message: "Authentication error" }] };
    cloudflare.misbehave({
      match: { method: "DELETE", path: /\/dns_records\/0{32}$/ },
      status: 403,
      body: JSON.stringify(refusal),
    });
    try {
      await assert.rejects(client.assertMayWrite(ZONE), { code: "RDEV_FORBIDDEN" });
    } finally {
      cloudflare.misbehave(undefined);
    }
  });

  const inputs = (name: string) => ({
    zone: ZONE,
    name,
    type: "A",
    content: "192.0.2.1",
    ttl: 300,
    owner: testOwner("my-app"),
  });

  it("uses the parent zone if the domain is not a zone", async () => {
    const name = "my-app.apps.example.org";
    await provider.create({ ...inputs(name), zone: "apps.example.org" });
    assert.equal(named(name).length, 1);
  });

  it("does not count a record as gone if its zone is hidden from the token", async () => {
    const props = { ...inputs("my-app.apps.example.org"), zone: "apps.example.org" };
    const { id, outs } = await provider.create(props);
    // From here on the name is a zone of its own, which only another token can see.
    for (const record of named(props.name)) cloudflare.records.delete(record.id);
    await add("apps.example.org", {
      type: "NS",
      content: "ns.cloudflare.example",
      ttl: 300,
      comment: "",
    });
    for (const attempt of [
      () => provider.read(id, outs),
      () => provider.delete(id, outs),
      () => provider.find(outs),
    ]) {
      await rejected(attempt(), /^RDEV_FORBIDDEN: .*no zone apps\.example\.org.*may not see/);
    }
    cloudflare.records.delete(
      [...cloudflare.records.values()].find(({ type }) => type === "NS")?.id ?? "",
    );
  });

  it("does not count a record as gone if the token sees no zone at all", async () => {
    const { id, outs } = await provider.create(inputs("hidden.example.org"));
    cloudflare.misbehave({
      match: { method: "GET", path: /\/zones$/ },
      status: 200,
      headers: { "content-type": "application/json" },
      body: '{"success":true,"errors":[],"messages":[],"result":[]}',
    });
    for (const attempt of [
      () => provider.read(id, outs),
      () => provider.delete(id, outs),
      () => provider.find(outs),
    ]) {
      await rejected(
        attempt(),
        /^RDEV_REFUSED: .*shows no zone example\.org.*CLOUDFLARE_API_TOKEN/,
      );
    }
    cloudflare.misbehave(undefined);
    assert.equal(named("hidden.example.org").length, 1);
  });

  it("deletes only the record with its mark among several of its name and type", async () => {
    const name = "shared.example.org";
    const { id, outs } = await provider.create(inputs(name));
    await add(name, { type: "A", content: "192.0.2.99", ttl: 60, comment: "by hand" });
    await provider.delete(id, outs);
    assert.deepEqual(
      named(name).map(({ comment }) => comment),
      ["by hand"],
    );
  });

  it("replaces several records with its mark by one", async () => {
    const name = "twice.example.org";
    const { id, outs } = await provider.create(inputs(name));
    const comment = named(name)[0]?.comment ?? "";
    await add(name, { type: "A", content: "192.0.2.50", ttl: 300, comment });
    const { props } = await provider.read(id, outs);
    assert.equal(props?.content, "192.0.2.1 192.0.2.50");
    await provider.update(id, props, inputs(name));
    assert.deepEqual(
      named(name).map(({ content }) => content),
      ["192.0.2.1"],
    );
  });

  it("removes Cloudflare's proxy from its record", async () => {
    const { id, outs } = await provider.create(inputs("proxied.example.org"));
    const [record] = named("proxied.example.org");
    assert.ok(record);
    cloudflare.records.set(record.id, { ...record, proxied: true, ttl: 1 });
    const { props } = await provider.read(id, outs);
    assert.equal(props?.ttl, 1);
    await provider.update(id, props, inputs("proxied.example.org"));
    assert.equal(named("proxied.example.org")[0]?.proxied, false);
  });

  it("reports a malformed token as refused", async () => {
    set({ CLOUDFLARE_API_TOKEN: "malformed-token" });
    const reading = provider.read("x.example.org/A", inputs("x.example.org"));
    const { message } = await rejected(reading, /^RDEV_UNAUTHORIZED: /);
    assert.doesNotMatch(message, /malformed-token/);
  });
});
