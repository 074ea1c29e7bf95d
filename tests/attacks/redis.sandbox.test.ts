import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { cacheCommands, provider } from "../../providers/redis/user.ts";
import { cacheUsers } from "../support/cache-users.ts";
import { rejected } from "../support/errors.ts";
import { variable } from "../support/variables.ts";

const OWNERS = "rdev-infra:owners";

/** The rules of every user of an older version. */
const RULES_BEFORE =
  "+@all -@admin -@dangerous +info -select -move -copy -scan -randomkey -client|tracking " +
  "-pubsub|channels -pubsub|shardchannels -function -script|flush -script|kill -script|debug";

describe("a tenant on the shared Redis", () => {
  const user = cacheUsers();
  let admin: Redis;

  before(() => {
    admin = new Redis(variable("REDIS_ADMIN_URL"));
  });

  after(() => {
    admin.disconnect();
  });

  it("cannot block the server: scripts, functions and LCS are refused", async () => {
    const { send, prefix } = await user();
    const refused = [
      ["EVAL", "return 1", "0"],
      ["EVAL_RO", "return 1", "0"],
      ["EVALSHA", "0".repeat(40), "0"],
      ["EVALSHA_RO", "0".repeat(40), "0"],
      ["SCRIPT", "LOAD", "return 1"],
      ["SCRIPT", "FLUSH"],
      ["SCRIPT", "KILL"],
      ["FUNCTION", "LOAD", "#!lua name=x"],
      ["FUNCTION", "LIST"],
      ["FUNCTION", "FLUSH"],
      ["FCALL", "f", "0"],
      ["FCALL_RO", "f", "0"],
      ["LCS", `${prefix}a`, `${prefix}b`],
      ["SORT", `${prefix}list`],
      ["CLIENT", "PAUSE", "3000"],
      ["SHUTDOWN"],
    ];
    for (const command of refused) await rejected(send(command), /^NOPERM/);
  });

  it("cannot read statistics of the whole server", async () => {
    const { send } = await user();
    const refused = [
      ["INFO"],
      ["INFO", "keyspace"],
      ["INFO", "server", "keyspace"],
      ["DBSIZE"],
      ["MEMORY", "STATS"],
      ["MEMORY", "DOCTOR"],
      ["PUBSUB", "NUMPAT"],
      ["CLIENT", "LIST"],
      ["SLOWLOG", "GET"],
      ["LATENCY", "LATEST"],
    ];
    for (const command of refused) await rejected(send(command), /^NOPERM/);
  });

  it("cannot write a mark, neither directly nor indirectly", async () => {
    const one = await user();
    const neighbour = await user();
    const mark = await admin.hget(OWNERS, neighbour.slug);
    await one.send(["HSET", `${one.prefix}owners`, neighbour.slug, "mine"]);
    const refused = [
      ["HSET", OWNERS, neighbour.slug, "mine"],
      ["HDEL", OWNERS, neighbour.slug],
      ["DEL", OWNERS],
      ["EXPIRE", OWNERS, "1"],
      ["RENAME", `${one.prefix}owners`, OWNERS],
      ["RENAME", OWNERS, `${one.prefix}owners`],
      ["COPY", `${one.prefix}owners`, OWNERS, "REPLACE"],
      ["RESTORE", OWNERS, "0", "x", "REPLACE"],
      ["ACL", "SETUSER", one.slug, "~*"],
    ];
    for (const command of refused) await rejected(one.send(command), /^NOPERM/);
    await rejected(one.send(["MULTI"], refused[0] ?? [], ["EXEC"]), /^NOPERM/);
    assert.equal(await admin.hget(OWNERS, neighbour.slug), mark);
  });

  it("can use only database 0, in which a delete looks for its keys", async () => {
    const { send, prefix } = await user();
    assert.deepEqual(await send(["SELECT", "0"]), ["OK"]);
    for (const command of [
      ["SELECT", "1"],
      ["SELECT", "00"],
      ["MOVE", `${prefix}key`, "1"],
      ["COPY", `${prefix}key`, `${prefix}other`, "DB", "1"],
      ["SWAPDB", "0", "1"],
    ]) {
      await rejected(send(command), /^NOPERM/);
    }
  });

  it("of an older version loses scripts and INFO with the next up, even on open connections", async () => {
    const old = await user({ commands: RULES_BEFORE });
    const open = old.connect();
    try {
      await open.set(`${old.prefix}kept`, "yes");
      assert.equal(await open.call("EVAL", "return 1", "0"), 1);
      assert.match(String(await open.call("INFO", "keyspace")), /^# Keyspace/);

      const inputs = await old.inputs({ commands: undefined });
      const { changes, replaces } = await provider.diff(old.slug, old.outs, inputs);
      assert.deepEqual({ changes, replaces }, { changes: true, replaces: [] });
      await provider.update(old.slug, old.outs, inputs);

      await rejected(open.call("EVAL", "return 1", "0"), /^NOPERM/);
      await rejected(open.call("INFO", "keyspace"), /^NOPERM/);
      assert.equal(await open.get(`${old.prefix}kept`), "yes");
    } finally {
      open.disconnect();
    }
  });

  it("with permission for scripts can run them only on its own keys", async () => {
    const { send, prefix } = await user({
      commands: cacheCommands({ scripts: true, info: false }),
    });
    const neighbour = await user();
    const set = "return redis.call('SET', KEYS[1], ARGV[1])";
    assert.deepEqual(await send(["EVAL", set, "1", `${prefix}key`, "1"]), ["OK"]);
    for (const command of [
      ["EVAL", set, "1", `${neighbour.prefix}key`, "1"],
      ["EVAL", `return redis.call('SET', '${neighbour.prefix}key', '1')`, "0"],
      ["EVAL", "return redis.call('DBSIZE')", "0"],
      ["EVAL", "return redis.call('INFO', 'keyspace')", "0"],
      ["SCRIPT", "FLUSH"],
      ["SCRIPT", "KILL"],
      ["FUNCTION", "FLUSH"],
      ["INFO"],
    ]) {
      await rejected(send(command), /NOPERM|ACL failure|can't (access|run)/);
    }
    assert.equal(await admin.exists(`${neighbour.prefix}key`), 0);
  });
});
