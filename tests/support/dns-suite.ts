import assert from "node:assert/strict";
import { provider } from "../../providers/dns/record.ts";
import { itMeetsFaults } from "./faults.ts";
import { startFaultyProxy } from "./faulty-proxy.ts";
import { rejected } from "./errors.ts";
import { testVariables, variable } from "./variables.ts";
import { markText, retainedMarkText } from "../../core/ownership.ts";
import { testOwner } from "./owner.ts";

/** A record as the server stores it. */
export interface LiveRecord {
  readonly type: string;
  readonly content: string;
  readonly ttl: number;
  readonly comment: string;
}

/** Direct access to a DNS server, without the provider. */
export interface DnsServer {
  /** The variables with its address and its credential. */
  readonly url: string;
  readonly credential: string;
  /** The request that creates a record. */
  readonly writes: "PATCH" | "POST";
  zone(): string;
  add(name: string, record: LiveRecord): Promise<void>;
  records(name: string): Promise<LiveRecord[]>;
  removeAll(name: string): Promise<void>;
}

const MARK = markText(testOwner("my-app"));
const BY_HAND = { type: "A", content: "192.0.2.99", ttl: 120, comment: "by hand" } as const;

/** Declares the tests of dns:Record for one kind of DNS server. */
export function itKeepsRecords(server: DnsServer): void {
  const set = testVariables();
  let count = 0;
  let name: string;
  const inputs = (changes: object = {}) => ({
    zone: server.zone(),
    name,
    type: "A",
    content: "192.0.2.1",
    ttl: 300,
    owner: testOwner("my-app"),
    ...changes,
  });
  const live = () => server.records(name);

  beforeEach(() => void (name = `my-app-${++count}.${server.zone()}`));

  it("creates a record with its TTL and its mark", async () => {
    const { id, outs } = await provider.create(inputs());
    assert.equal(id, `${name}/A`);
    assert.deepEqual(outs, inputs());
    assert.deepEqual(await live(), [{ type: "A", content: "192.0.2.1", ttl: 300, comment: MARK }]);
  });

  it("creates AAAA and CNAME records", async () => {
    await provider.create(inputs({ type: "AAAA", content: "2001:DB8:0:0::1" }));
    assert.deepEqual(
      (await live()).map(({ type, content }) => [type, content]),
      [["AAAA", "2001:db8::1"]],
    );
    name = `other-${name}`;
    await provider.create(inputs({ type: "CNAME", content: "ingress.example.org" }));
    assert.deepEqual(
      (await live()).map(({ type, content }) => [type, content]),
      [["CNAME", "ingress.example.org"]],
    );
  });

  it("takes over a record that carries the mark of an adoption, and no other address of the name", async () => {
    const comment = retainedMarkText(testOwner("my-app"));
    await server.add(name, { ...BY_HAND, comment });
    await provider.create(inputs());
    const record = { type: "A", content: "192.0.2.1", ttl: 300, comment: MARK };
    assert.deepEqual(await live(), [record]);

    name = `other-${name}`;
    await server.add(name, { ...BY_HAND, comment });
    const six = { type: "AAAA", content: "2001:db8::99", ttl: 120, comment: "by hand" };
    await server.add(name, six);
    await rejected(
      provider.create(inputs({ type: "AAAA", content: "2001:db8::1" })),
      /^RDEV_NOT_OURS: /,
    );
    assert.ok((await live()).some(({ content }) => content === six.content));
  });

  it("handles the types of a name separately", async () => {
    const six = inputs({ type: "AAAA", content: "2001:db8::1" });
    await provider.create(six);
    const { id, outs } = await provider.create(inputs());
    assert.equal(id, `${name}/A`);
    assert.equal((await live()).length, 2);
    await provider.delete(id, outs);
    assert.equal((await provider.read(id, outs)).id, "");
    assert.deepEqual((await provider.read(`${name}/AAAA`, six)).props, six);
  });

  it("adopts a record of this project, and updates it", async () => {
    await provider.create(inputs({ content: "192.0.2.7", ttl: 60 }));
    await provider.create(inputs());
    assert.deepEqual(await live(), [{ type: "A", content: "192.0.2.1", ttl: 300, comment: MARK }]);
  });

  it("refuses a record made by hand, and does not change it", async () => {
    await server.add(name, BY_HAND);
    await rejected(provider.create(inputs()), /^RDEV_NOT_OURS: .*\/A exists already/);
    assert.deepEqual(await live(), [BY_HAND]);
  });

  it("refuses a record of another project", async () => {
    await provider.create(inputs({ owner: testOwner("neighbour") }));
    await rejected(provider.create(inputs()), /^RDEV_NOT_OURS: /);
  });

  it("refuses a record of another type made by hand under the same name", async () => {
    const alias = { type: "CNAME", content: "elsewhere.example.org", ttl: 120, comment: "" };
    await server.add(name, alias);
    await rejected(provider.create(inputs()), /^RDEV_NOT_OURS: .*\/CNAME exists already/);
    assert.deepEqual(await live(), [alias]);
  });

  it("changes content and TTL in place", async () => {
    const { id } = await provider.create(inputs());
    await provider.update(id, inputs(), inputs({ content: "192.0.2.2", ttl: 60 }));
    assert.deepEqual(await live(), [{ type: "A", content: "192.0.2.2", ttl: 60, comment: MARK }]);
  });

  it("detects drift", async () => {
    const { id, outs } = await provider.create(inputs());
    await server.removeAll(name);
    await server.add(name, { type: "A", content: "192.0.2.66", ttl: 60, comment: MARK });
    const { props } = await provider.read(id, outs);
    assert.deepEqual(props, inputs({ content: "192.0.2.66", ttl: 60 }));
  });

  it("does not report another spelling of an address as drift", async () => {
    const asked = inputs({ type: "AAAA", content: "2001:DB8:0:0::1" });
    const { id, outs } = await provider.create(asked);
    assert.deepEqual((await provider.read(id, outs)).props, asked);
  });

  it("detects that a record is gone or no longer ours", async () => {
    const { id, outs } = await provider.create(inputs());
    await server.removeAll(name);
    assert.equal((await provider.read(id, outs)).id, "");
    await server.add(name, BY_HAND);
    assert.equal((await provider.read(id, outs)).id, "");
  });

  it("deletes its record, and succeeds if it is already gone", async () => {
    const { id, outs } = await provider.create(inputs());
    await provider.delete(id, outs);
    assert.deepEqual(await live(), []);
    await provider.delete(id, outs);
  });

  it("keeps a record that is not ours", async () => {
    const { id, outs } = await provider.create(inputs());
    await server.removeAll(name);
    await server.add(name, BY_HAND);
    const text = { type: "TXT", content: '"hello"', ttl: 120, comment: "" };
    await server.add(name, text);
    await provider.delete(id, outs);
    assert.deepEqual(await live(), [BY_HAND, text]);
  });

  it("keeps the other types of its name on delete", async () => {
    const { id, outs } = await provider.create(inputs());
    const text = { type: "TXT", content: '"hello"', ttl: 120, comment: "" };
    await server.add(name, text);
    await provider.delete(id, outs);
    assert.deepEqual(await live(), [text]);
  });

  it("names a missing zone, also on delete", async () => {
    const elsewhere = inputs({ zone: "nowhere.invalid", name: "my-app.nowhere.invalid" });
    await rejected(provider.create(elsewhere), /^RDEV_REFUSED: .* no zone nowhere\.invalid/);
    const gone = provider.delete("my-app.nowhere.invalid/A", elsewhere);
    await rejected(gone, /^RDEV_REFUSED: .* no zone nowhere\.invalid/);
  });

  it("adopts the record of a create whose answer was lost on the next attempt", async () => {
    const proxy = await startFaultyProxy(variable(server.url));
    try {
      set({ [server.url]: proxy.url });
      proxy.loseAnswers(server.writes);
      await rejected(provider.create(inputs()), /^RDEV_UNREACHABLE: /);
      assert.equal(proxy.requests.filter((text) => text.startsWith(server.writes)).length, 1);
      await provider.create(inputs());
      assert.equal((await live()).length, 1);
    } finally {
      await proxy.close();
    }
  });

  it("returns id and inputs to the engine if it fails after creating the record", async () => {
    const proxy = await startFaultyProxy(variable(server.url));
    try {
      set({ [server.url]: proxy.url });
      await server.add(name, { type: "A", content: "192.0.2.7", ttl: 60, comment: MARK });
      proxy.misbehave({
        match: { method: server.writes === "POST" ? "PUT" : "PATCH" },
        status: 500,
      });
      const { id, properties } = await rejected(provider.create(inputs()), /^RDEV_UNREACHABLE: /);
      assert.equal(id, `${name}/A`);
      assert.deepEqual(properties, inputs());
    } finally {
      await proxy.close();
    }
  });

  itMeetsFaults({
    ...server,
    read: () => provider.read(`${name}/A`, inputs()),
  });
}
