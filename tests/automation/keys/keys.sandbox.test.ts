import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { listAudit } from "../../../automation/audit/queries.ts";
import { KeyCache, Keys } from "../../../automation/keys/keys.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";

describe("API keys", () => {
  let test: TestStore;
  let keys: Keys;

  beforeEach(async () => {
    test = await createTestStore();
    keys = new Keys(test.store);
  });
  afterEach(() => test.drop());

  it("authenticate by their text; only a hash is stored", async () => {
    const { key, text } = await keys.create({ name: "rdev", role: "admin" }, "ada");
    assert.match(text, /^rdk_[0-9a-f]{16}_[\w-]{43}$/);
    assert.deepEqual(
      [key.name, key.role, key.project, key.expiresAt, key.revokedAt],
      ["rdev", "admin", null, null, null],
    );
    assert.equal((await keys.authenticate(text))?.id, key.id);

    const secret = text.slice(21);
    const [row] = await test.admin("SELECT * FROM api_keys");
    assert.deepEqual(row?.["hash"], createHash("sha256").update(secret).digest());
    assert.ok(!JSON.stringify(row).includes(secret));
  });

  it("are refused if a single character is wrong, or the format is", async () => {
    const { text } = await keys.create({ name: "rdev", role: "viewer" }, "ada");
    const { text: other } = await keys.create({ name: "other", role: "viewer" }, "ada");
    const flipped = text.slice(0, -1) + (text.endsWith("A") ? "B" : "A");
    const mixed = text.slice(0, 21) + other.slice(21);
    for (const wrong of [flipped, mixed, text.slice(0, -1), `${text}A`, "", "rdk_", `${text}\n`]) {
      assert.equal(await keys.authenticate(wrong), undefined, JSON.stringify(wrong));
    }
  });

  it("end when they expire or are revoked, by id or by name", async () => {
    const short = await keys.create({ name: "short", role: "viewer", lifetime: 3_600_000 }, "ada");
    assert.ok(await keys.authenticate(short.text));
    await test.admin("UPDATE api_keys SET expires_at = now() - interval '1 s'");
    assert.equal(await keys.authenticate(short.text), undefined);

    for (const by of ["id", "name"] as const) {
      const { key, text } = await keys.create({ name: `by-${by}`, role: "viewer" }, "ada");
      assert.ok(await keys.authenticate(text));
      assert.ok((await keys.revoke(key[by], "ada")).revokedAt);
      assert.equal(await keys.authenticate(text), undefined);
      await assert.rejects(keys.revoke(key[by], "ada"), { code: "RDEV_NOT_FOUND" });
    }
  });

  it("have a name that no other active key has", async () => {
    const first = await keys.create({ name: "ci", role: "viewer" }, "ada");
    await assert.rejects(keys.create({ name: "ci", role: "admin" }, "ada"), {
      code: "RDEV_CONFLICT",
    });
    await keys.revoke(first.key.id, "ada");
    const second = await keys.create({ name: "ci", role: "admin" }, "ada");
    const listed = await keys.list();
    assert.deepEqual(
      listed.map(({ id, revokedAt }) => [id, revokedAt !== null]),
      [
        [second.key.id, false],
        [first.key.id, true],
      ],
    );
  });

  it("refuse an invalid name or project", async () => {
    for (const name of ["", "a b", "x".repeat(101), "-a", "a\n"]) {
      await assert.rejects(keys.create({ name, role: "viewer" }, "ada"), { code: "RDEV_REQUEST" });
    }
    const key = { name: "rdev", role: "viewer", project: "../etc" } as const;
    await assert.rejects(keys.create(key, "ada"), { code: "RDEV_SLUG" });
    assert.deepEqual(await keys.list(), []);
  });

  it("are in the audit log, without their secrets", async () => {
    const { key, text } = await keys.create({ name: "ci", role: "operator" }, "ada");
    await keys.revoke(key.id, "bob");
    const rows = await listAudit(test.store, { limit: 10 });
    assert.deepEqual(
      rows.map(({ action, actor, component, result }) => [action, actor, component, result]),
      [
        ["key.create", "ada", "keys", "success"],
        ["key.revoke", "bob", "keys", "success"],
      ],
    );
    assert.ok(!JSON.stringify(rows).includes(text.slice(21)));
    assert.deepEqual(rows[0]?.details, { id: key.id, name: "ci", role: "operator", expires: null });
  });

  it("record their last use, but not each use", async () => {
    const { text } = await keys.create({ name: "rdev", role: "viewer" }, "ada");
    const used = async () => (await keys.list())[0]?.lastUsedAt?.getTime();
    assert.equal(await used(), undefined);
    await keys.authenticate(text);
    const first = await used();
    assert.ok(first);
    await keys.authenticate(text);
    assert.equal(await used(), first);
    await test.admin("UPDATE api_keys SET last_used_at = now() - interval '2 min'");
    await keys.authenticate(text);
    assert.ok((await used())! >= first);
  });

  it("are cached, and a revoked key is refused within a second", async () => {
    const { key, text } = await keys.create({ name: "rdev", role: "viewer" }, "ada");
    let lookups = 0;
    const cache = new KeyCache({
      authenticate: (presented) => {
        lookups += 1;
        return keys.authenticate(presented);
      },
    });
    for (let i = 0; i < 100; i += 1) assert.ok(await cache.authenticate(text));
    assert.ok(lookups <= 2, String(lookups));
    await keys.revoke(key.id, "ada");
    const begin = performance.now();
    while (await cache.authenticate(text)) {
      assert.ok(performance.now() - begin < 3_000, "the key is still valid after 3 s");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(cache.has(text), false);
  });
});
