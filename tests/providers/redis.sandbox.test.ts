import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { markText, NO_OWNER } from "../../core/ownership.ts";
import { provider } from "../../providers/redis/user.ts";
import { fails, rejected } from "../support/errors.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { variable, withVariables } from "../support/variables.ts";
import { testOwner } from "../support/owner.ts";

const PASSWORD = "first-Passw0rd~!";
const OWNERS = "rdev-infra:owners";

describe("redis:User", () => {
  const used: string[] = [];
  let admin: Redis;
  let slug: string;

  /** Checked inputs with defaults, like those from the engine. */
  const inputs = async (more: Record<string, unknown> = {}) => {
    const given = {
      name: slug,
      prefix: `${slug}:`,
      owner: testOwner(slug),
      password: PASSWORD,
      ...more,
    };
    const { inputs: checked, failures } = await provider.check({}, given);
    assert.deepEqual(failures, []);
    return checked as Record<string, unknown>;
  };

  const make = async (more: Record<string, unknown> = {}) => {
    const { outs } = await provider.create(await inputs(more));
    return outs as Record<string, unknown>;
  };

  before(() => {
    admin = new Redis(variable("REDIS_ADMIN_URL"));
  });

  beforeEach(() => {
    slug = uniqueSlug();
    used.push(slug);
  });

  after(async () => {
    for (const each of used) {
      await admin.call("ACL", "DELUSER", each);
      await admin.hdel(OWNERS, each);
      const keys = await admin.keys(`${each}:*`);
      if (keys.length > 0) await admin.unlink(...keys);
    }
    await admin.call("ACL", "SAVE").catch(() => admin.config("REWRITE"));
    admin.disconnect();
  });

  it("creates a marked user with its own keys and channels", async () => {
    const outs = await make();
    const { hostname, port } = new URL(variable("REDIS_ADMIN_URL"));
    const { rule, ...rest } = outs;
    assert.deepEqual(rest, {
      ...(await inputs()),
      host: hostname,
      port: Number(port),
      username: slug,
      tls: false,
    });
    assert.match(String(rule), new RegExp(`~${slug}:\\*`));
    assert.equal(await admin.hget(OWNERS, slug), markText(testOwner(slug)));

    const answers = await as(slug, PASSWORD, [
      ["SET", `${slug}:key`, "value"],
      ["GET", `${slug}:key`],
      ["PUBLISH", `${slug}:news`, "hello"],
      ["HELLO", "2"],
    ]);
    assert.deepEqual(answers.slice(0, 3), ["OK", "value", 0]);
  });

  it("refuses the user other prefixes, other names and administrators' commands", async () => {
    await make();
    const neighbour = uniqueSlug();
    used.push(neighbour);
    await make({ name: neighbour, prefix: `${neighbour}:`, owner: testOwner(neighbour) });
    await as(neighbour, PASSWORD, [["SET", `${neighbour}:key`, "theirs"]]);
    const refused = [
      ["GET", `${neighbour}:key`],
      ["SET", `${slug}x`, "1"],
      ["PUBLISH", `${neighbour}:news`, "hello"],
      ["HGETALL", OWNERS],
      ["SCAN", "0"],
      ["KEYS", "*"],
      ["RANDOMKEY"],
      ["SELECT", "1"],
      ["MOVE", `${slug}:key`, "1"],
      ["COPY", `${slug}:key`, `${slug}:other`, "DB", "1"],
      ["CLIENT", "TRACKING", "ON", "BCAST"],
      ["PUBSUB", "CHANNELS"],
      ["FUNCTION", "FLUSH"],
      ["SCRIPT", "FLUSH"],
      ["FLUSHALL"],
      ["CONFIG", "GET", "requirepass"],
      ["ACL", "LIST"],
    ];
    for (const command of refused) {
      await rejected(as(slug, PASSWORD, [command]), /NOPERM|ACL failure|can't access/);
    }
  });

  it("matches the prefix literally, even if it contains pattern characters", async () => {
    const prefix = `${slug}[*?]\\:`;
    const outs = await make({ prefix });
    await as(slug, PASSWORD, [["SET", `${prefix}key`, "1"]]);
    await rejected(as(slug, PASSWORD, [["SET", `${slug}*x\\:key`, "1"]]), /NOPERM/);
    await admin.set(`${slug}*x:`, "theirs");
    await provider.delete(slug, outs);
    assert.deepEqual(await admin.keys(`${slug}*`), [`${slug}*x:`]);
    await admin.unlink(`${slug}*x:`);
  });

  it("adopts the marked user without a login that a killed run left", async () => {
    await admin.hset(OWNERS, slug, markText(testOwner(slug)));
    await admin.call("ACL", "SETUSER", slug, "reset");
    await make();
    assert.deepEqual(await as(slug, PASSWORD, [["PING"]]), ["PONG"]);
  });

  it("creates the user if only a mark was left", async () => {
    await admin.hset(OWNERS, slug, markText(testOwner(uniqueSlug())));
    await make();
    assert.equal(await admin.hget(OWNERS, slug), markText(testOwner(slug)));
  });

  it("refuses a user made by hand, and leaves it and its keys untouched", async () => {
    await admin.call("ACL", "SETUSER", slug, "on", ">by-hand", "~*", "+get");
    await admin.set(`${slug}:key`, "theirs");
    const before = await acl(slug);
    await fails(provider.create(await inputs()), "RDEV_NOT_OURS", [PASSWORD]);
    await provider.delete(slug, await inputs());
    assert.deepEqual(await acl(slug), before);
    assert.equal(await admin.get(`${slug}:key`), "theirs");
  });

  it("refuses an object of another project", async () => {
    await make();
    await fails(provider.create(await inputs({ owner: testOwner(uniqueSlug()) })), "RDEV_NOT_OURS");
  });

  it("rotates the password: the new one works at once, the old one is refused", async () => {
    const outs = await make();
    const next = await inputs({ password: "second-Passw0rd~!" });
    const updated = await provider.update(slug, outs, next);
    assert.deepEqual(updated.outs, { ...outs, password: "second-Passw0rd~!" });
    assert.deepEqual(await as(slug, "second-Passw0rd~!", [["PING"]]), ["PONG"]);
    await rejected(as(slug, PASSWORD, [["PING"]]), /WRONGPASS/);
  });

  it("sends no password", async () => {
    const monitor = await admin.monitor();
    const seen: string[] = [];
    monitor.on("monitor", (_time: string, command: string[]) => seen.push(command.join(" ")));
    await make();
    await admin.ping("the end");
    while (!seen.some((command) => command.includes("the end"))) await pause();
    monitor.disconnect();
    // Monitors do not see ACL commands. Nothing else may contain the password.
    assert(!seen.join().includes(PASSWORD));
    const log = JSON.stringify(await admin.call("ACL", "LIST"));
    assert(!log.includes(PASSWORD));
  });

  it("finds drift of keys, channels, commands, password and mark, and corrects it", async () => {
    const outs = await make();
    assert.deepEqual(await provider.read(slug, outs), {
      id: slug,
      props: outs,
      inputs: await inputs(),
    });
    const rules = [`~*`, "&*", "+keys", "off", "nopass", ">another-password"];
    for (const rule of rules) {
      await admin.call("ACL", "SETUSER", slug, rule);
      const { props = {} } = await provider.read(slug, outs);
      const { changes, replaces } = await provider.diff(slug, props, await inputs());
      assert.deepEqual({ changes, replaces }, { changes: true, replaces: [] }, rule);
      await provider.update(slug, props, await inputs());
      assert.deepEqual((await provider.read(slug, outs)).props, outs, rule);
    }
    await admin.hdel(OWNERS, slug);
    const { props = {} } = await provider.read(slug, outs);
    assert.deepEqual(props["owner"], NO_OWNER);
    await provider.update(slug, props, await inputs());
    assert.deepEqual((await provider.read(slug, outs)).props, outs);
  });

  it("notices that the object is gone, or belongs to somebody else", async () => {
    const outs = await make();
    await admin.hset(OWNERS, slug, markText(testOwner(uniqueSlug())));
    assert.deepEqual(await provider.read(slug, outs), { id: "", props: {} });
    await admin.call("ACL", "DELUSER", slug);
    assert.deepEqual(await provider.read(slug, outs), { id: "", props: {} });
  });

  it("deletes user, mark and every key despite an open connection, also twice", async () => {
    const outs = await make();
    const session = connectAs(slug, PASSWORD);
    const closed = new Promise((resolve) => session.on("close", resolve));
    const keys = Array.from({ length: 2500 }, (_, i) => `${slug}:${i}`);
    await session.mset(...keys.flatMap((key) => [key, "1"]));
    await admin.set(`x${slug}:1`, "theirs");
    await provider.delete(slug, outs);
    await closed;
    session.disconnect();
    assert.equal(await acl(slug), null);
    assert.equal(await admin.hget(OWNERS, slug), null);
    assert.deepEqual(await admin.keys(`*${slug}*`), [`x${slug}:1`]);
    await admin.unlink(`x${slug}:1`);
    await provider.delete(slug, outs);
  });

  it("continues a delete that failed half way", async () => {
    const outs = await make();
    await admin.set(`${slug}:key`, "1");
    await asLesserAdmin(["+@all", "-unlink"], () =>
      fails(provider.delete(slug, outs), "RDEV_FORBIDDEN", [PASSWORD]),
    );
    await rejected(as(slug, PASSWORD, [["PING"]]), /WRONGPASS/);
    await provider.delete(slug, outs);
    assert.equal(await acl(slug), null);
    assert.equal(await admin.exists(`${slug}:key`), 0);
  });

  it("works again after the next up if a delete failed half way", async () => {
    const outs = await make();
    await asLesserAdmin(["+@all", "-unlink"], async () => {
      await admin.set(`${slug}:key`, "1");
      await fails(provider.delete(slug, outs), "RDEV_FORBIDDEN", [PASSWORD]);
    });
    const begun = { ...outs, deleteBegun: true };
    const { changes, replaces } = await provider.diff(slug, begun, await inputs());
    assert.deepEqual({ changes, replaces }, { changes: true, replaces: [] });
    assert.deepEqual((await provider.update(slug, begun, await inputs())).outs, outs);
    assert.deepEqual(await as(slug, PASSWORD, [["PING"]]), ["PONG"]);
  });

  it("deletes keys and mark even if the server lost its users", async () => {
    const outs = await make();
    await admin.set(`${slug}:key`, "1");
    await admin.call("ACL", "DELUSER", slug);
    await provider.delete(slug, outs);
    assert.equal(await admin.exists(`${slug}:key`), 0);
    assert.equal(await admin.hget(OWNERS, slug), null);
    assert.equal(await acl(slug), null);
  });

  it("reports which right is missing", async () => {
    await asLesserAdmin(["+@all", "-hset"], async () => {
      await fails(provider.create(await inputs()), "RDEV_FORBIDDEN", [PASSWORD]);
    });
    assert.equal(await acl(slug), null);
  });

  it("reports which credentials were refused", async () => {
    const url = new URL(variable("REDIS_ADMIN_URL"));
    url.password = "wrong-Passw0rd";
    await withVariables({ REDIS_ADMIN_URL: url.href }, async () => {
      const error = await fails(provider.create(await inputs()), "RDEV_UNAUTHORIZED", [
        "wrong-Passw0rd",
      ]);
      assert.match(error.message, /REDIS_ADMIN_URL/);
    });
  });

  it("reports a server that is down", async () => {
    const url = new URL(variable("REDIS_ADMIN_URL"));
    url.port = "1";
    await withVariables({ REDIS_ADMIN_URL: url.href }, async () => {
      await fails(provider.read(slug, await inputs()), "RDEV_UNREACHABLE", [url.password]);
    });
  });

  it("names every wrong input", async () => {
    const { failures } = await provider.check(
      {},
      {
        name: "A b",
        prefix: "rdev-infra:",
        owner: testOwner(slug),
        password: "lücke",
        commands: "~*",
      },
    );
    assert.deepEqual(
      failures?.map(({ property }) => property),
      ["name", "prefix", "password", "commands"],
    );
    assert(!JSON.stringify(failures).includes("lücke"));
  });

  function connectAs(username: string, password: string): Redis {
    const { hostname, port } = new URL(variable("REDIS_ADMIN_URL"));
    const redis = new Redis({
      host: hostname,
      port: Number(port),
      username,
      password,
      lazyConnect: true,
      enableReadyCheck: false,
      retryStrategy: () => null,
    });
    redis.on("error", () => undefined);
    return redis;
  }

  /** The answer to each command. */
  async function as(username: string, password: string, commands: readonly string[][]) {
    const redis = connectAs(username, password);
    let reason: Error | undefined;
    redis.on("error", (error: Error) => (reason = error));
    try {
      const answers: unknown[] = [];
      for (const [command = "", ...args] of commands)
        answers.push(await redis.call(command, ...args));
      return answers;
    } catch (error) {
      throw reason ?? error;
    } finally {
      redis.disconnect();
    }
  }

  async function acl(name: string) {
    return admin.call("ACL", "GETUSER", name);
  }

  /** Runs `work` with REDIS_ADMIN_URL set to an administrator with only these rights. */
  async function asLesserAdmin<T>(rights: string[], work: () => Promise<T>): Promise<T> {
    const user = uniqueSlug();
    used.push(user);
    await admin.call("ACL", "SETUSER", user, "on", ">lesser-Passw0rd", "~*", "&*", ...rights);
    const url = new URL(variable("REDIS_ADMIN_URL"));
    url.username = user;
    url.password = "lesser-Passw0rd";
    return withVariables({ REDIS_ADMIN_URL: url.href }, work);
  }
});

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
