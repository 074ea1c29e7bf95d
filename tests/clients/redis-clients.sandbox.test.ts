import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { execa } from "execa";
import { Redis } from "ioredis";
import { cacheCommands } from "../../providers/redis/user.ts";
import { type CacheUser, cacheUsers } from "../support/cache-users.ts";
import { rejected } from "../support/errors.ts";

/** The script with which redis-py and redlock release a lock. */
const RELEASE =
  "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

describe("with the rights of a project's Redis user", () => {
  const user = cacheUsers();
  let own: CacheUser;

  before(async () => {
    own = await user();
  });

  describe("ioredis", () => {
    let redis: Redis;
    let warnings: string[];
    const { warn } = console;

    before(async () => {
      warnings = [];
      console.warn = (text: string) => void warnings.push(text);
      // The defaults include a ready check that sends INFO.
      redis = new Redis(own.url, { lazyConnect: true });
      await redis.connect();
    });

    after(() => {
      redis.disconnect();
      console.warn = warn;
    });

    it("connects although INFO is refused", async () => {
      assert.equal(await redis.ping(), "PONG");
      assert.match(warnings.join(), /Skipping the ready check because INFO command fails/);
    });

    it("sends pipelines and transactions", async () => {
      const key = `${own.prefix}counter`;
      const piped = await redis.pipeline().set(key, "1", "EX", 60).incr(key).exec();
      assert.deepEqual(piped, [
        [null, "OK"],
        [null, 2],
      ]);
      assert.deepEqual(await redis.multi().incr(key).exec(), [[null, 3]]);
    });

    it("publishes and subscribes", async () => {
      const subscriber = redis.duplicate();
      try {
        const channel = `${own.prefix}news`;
        await subscriber.subscribe(channel);
        const heard = once(subscriber, "message");
        assert.equal(await redis.publish(channel, "hello"), 1);
        assert.deepEqual(await heard, [channel, "hello"]);
        assert.deepEqual(await redis.pubsub("NUMSUB", channel), [channel, 1]);
      } finally {
        subscriber.disconnect();
      }
    });

    it("reads a stream as a consumer group", async () => {
      const key = `${own.prefix}events`;
      await redis.xgroup("CREATE", key, "workers", "0", "MKSTREAM");
      const id = await redis.xadd(key, "*", "text", "hello");
      const read = await redis.xreadgroup(
        "GROUP",
        "workers",
        "one",
        "COUNT",
        1,
        "STREAMS",
        key,
        ">",
      );
      assert.deepEqual(read, [[key, [[id, ["text", "hello"]]]]]);
      assert.equal(await redis.xack(key, "workers", String(id)), 1);
    });

    it("takes a lock, and releases it in a transaction", async () => {
      const key = `${own.prefix}lock`;
      assert.equal(await redis.set(key, "mine", "PX", 60_000, "NX"), "OK");
      assert.equal(await redis.set(key, "theirs", "PX", 60_000, "NX"), null);
      await redis.watch(key);
      assert.equal(await redis.get(key), "mine");
      assert.deepEqual(await redis.multi().del(key).exec(), [[null, 1]]);
    });

    it("iterates over the elements of a key", async () => {
      const key = `${own.prefix}hash`;
      await redis.hset(key, "a", "1");
      assert.deepEqual(await redis.hscan(key, "0"), ["0", ["a", "1"]]);
    });
  });

  it("go-redis connects, pipelines, publishes, reads a stream and takes a lock", async function () {
    this.timeout(300_000);
    const { stdout } = await execa("go", ["run", "."], {
      cwd: join(import.meta.dirname, "go-redis"),
      env: { REDIS_URL: own.url, KEY_PREFIX: own.prefix },
    });
    const parts = ["url", "connect", "pipeline", "pub/sub", "stream", "lock"];
    assert.deepEqual(stdout.split("\n"), parts);
  });

  it("allows redis-py's commands on connect, or answers that the server is too old for them", async () => {
    const redis = own.connect();
    try {
      const commands = [
        ["HELLO", "3", "AUTH", own.slug, new URL(own.url).password],
        ["HELLO", "2"],
        ["CLIENT", "SETNAME", "worker"],
        ["SELECT", "0"],
        ["PING"],
        ["CLIENT", "SETINFO", "LIB-NAME", "redis-py"],
        ["CLIENT", "SETINFO", "LIB-VER", "6.4.0"],
        ["CLIENT", "MAINT_NOTIFICATIONS", "ON"],
      ];
      for (const [command = "", ...args] of commands) {
        await redis.call(command, ...args).catch((error: Error) => {
          assert.match(error.message, /^ERR (unknown|Unknown) subcommand/, command);
        });
      }
    } finally {
      redis.disconnect();
    }
  });

  it("needs the platform's setting to release a lock by a script", async () => {
    const release = (key: string) => ["EVAL", RELEASE, "1", key, "mine"];
    const key = `${own.prefix}scripted-lock`;
    await own.send(["SET", key, "mine", "NX", "PX", "60000"]);
    await rejected(own.send(release(key)), /^NOPERM/);

    const allowed = await user({ commands: cacheCommands({ scripts: true, info: true }) });
    const other = `${allowed.prefix}lock`;
    const [set, released] = await allowed.send(
      ["SET", other, "mine", "NX", "PX", "60000"],
      release(other),
    );
    assert.deepEqual([set, released], ["OK", 1]);
    assert.match(String((await allowed.send(["INFO", "server"]))[0]), /redis_version/);
  });
});
