import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { z } from "zod";
import { type ErrorCode, InfraError } from "../../core/errors.ts";
import { SYSTEMS } from "../../core/systems.ts";
import { define } from "../../providers/dynamic/definition.ts";
import { dynamicProvider, hasUnknown, UNKNOWN } from "../../providers/dynamic/provider.ts";
import { providerReference } from "../../providers/dynamic/resource.ts";
import { fails } from "../support/errors.ts";
import { testVariables } from "../support/variables.ts";

type Props = Record<string, unknown>;

interface Thing {
  owner: string;
  size: number;
  tags: string[];
}

/** A server in memory with a log of its calls. */
class Server {
  readonly things = new Map<string, Thing>();
  readonly calls: string[] = [];
  isOpen = false;
  failing: Partial<Record<"connect" | "find" | "apply" | "close", () => unknown>> = {};

  async call(name: string): Promise<void> {
    this.calls.push(name);
    await this.failing[name as keyof Server["failing"]]?.();
  }
}

const INPUTS = {
  name: "one",
  project: "my-app",
  size: 3,
  tags: ["a"],
  password: "p@ss word/1",
};

describe("dynamicProvider", () => {
  const set = testVariables();
  let server: Server;

  const definition = define({
    module: "test/thing",
    type: "test:Thing",
    noun: "thing",
    inputs: z.object({
      name: z.string().min(3, "is too short"),
      project: z.string(),
      size: z.int("is no whole number").default(1),
      tags: z.array(z.string("is no text")).default([]),
      password: z.string().min(8, "is too short"),
      note: z.string().optional(),
    }),
    attributes: z.object({ url: z.string(), token: z.string() }),
    replaceOn: ["name", "project"],
    secrets: ["password", "token"],
    deadline: 200,

    async connect() {
      await server.call("connect");
      server.isOpen = true;
      return server;
    },
    async close() {
      server.isOpen = false;
      await server.call("close");
    },
    rules: ({ size, tags }, last) => [
      ...(size < tags.length ? [{ property: "tags", reason: "are more than size" }] : []),
      ...(size < (last.size ?? 0) ? [{ property: "size", reason: "never shrinks" }] : []),
    ],
    async find(client, { name, project }) {
      await client.call("find");
      const thing = client.things.get(name);
      return thing && { id: name, ownership: thing.owner === project ? "ours" : "others" };
    },
    async create(client, { name, project }) {
      await client.call("create");
      client.things.set(name, { owner: project, size: 0, tags: [] });
      return name;
    },
    async apply(client, id, { size, tags }) {
      await client.call("apply");
      const thing = client.things.get(id);
      if (!thing) throw new InfraError("RDEV_REFUSED", "nothing there", { status: 404 });
      Object.assign(thing, { size, tags });
      return { url: `http://things/${id}`, token: "t0ken-0f-thing" };
    },
    async read(client, id) {
      await client.call("read");
      const thing = client.things.get(id);
      return thing && { size: thing.size, tags: thing.tags };
    },
    async delete(client, id) {
      await client.call("delete");
      client.things.delete(id);
    },
  });
  const provider = dynamicProvider(definition);
  const ATTRIBUTES = { url: "http://things/one", token: "t0ken-0f-thing" };
  const STATE = { ...INPUTS, ...ATTRIBUTES };

  beforeEach(() => {
    server = new Server();
  });
  afterEach(() => assert.equal(server.isOpen, false, "a connection was left open"));

  const failsWith = (code: ErrorCode, text: string) => () => {
    throw new InfraError(code, text);
  };

  describe("check", () => {
    it("fills in defaults, and drops unknown properties", async () => {
      const { inputs, failures } = await provider.check(
        {},
        { name: "one", project: "my-app", password: "long enough", other: 1 },
      );
      assert.deepEqual(failures, []);
      assert.deepEqual(inputs, {
        name: "one",
        project: "my-app",
        size: 1,
        tags: [],
        password: "long enough",
      });
    });

    it("names every wrong property, without the value of a secret", async () => {
      const { failures } = await provider.check(
        {},
        { name: "x", size: 1.5, tags: ["a", 7], password: "hunter2" },
      );
      assert.deepEqual(failures, [
        { property: "name", reason: 'is too short, instead got "x"' },
        { property: "project", reason: "is missing" },
        { property: "size", reason: "is no whole number, instead got 1.5" },
        { property: "tags.1", reason: 'is no text, instead got ["a",7]' },
        { property: "password", reason: "is too short" },
      ]);
    });

    it("accepts unknown values at any depth, and still checks the rest", async () => {
      const news = { ...INPUTS, name: UNKNOWN, tags: ["a", UNKNOWN], size: "big" };
      const { inputs, failures } = await provider.check({}, news);
      assert.deepEqual(inputs, news);
      assert.deepEqual(
        failures?.map(({ property }) => property),
        ["size"],
      );
    });

    it("applies rules across inputs and against the last inputs, once all are known", async () => {
      const news = { ...INPUTS, size: 1, tags: ["a", "b"] };
      const { failures } = await provider.check({ ...INPUTS, size: 2 }, news);
      assert.deepEqual(failures, [
        { property: "tags", reason: "are more than size" },
        { property: "size", reason: "never shrinks" },
      ]);
      assert.deepEqual((await provider.check({}, { ...news, name: UNKNOWN })).failures, []);
      assert.deepEqual((await provider.check({}, { ...INPUTS, size: 1 })).failures, []);
    });

    it("is idempotent", async () => {
      await fc.assert(
        fc.asyncProperty(anyProps, async (news) => {
          const { inputs: once = {} } = await provider.check({}, news);
          const { inputs: twice = {} } = await provider.check(once, once);
          assert.deepEqual(twice, once);
        }),
      );
    });

    it("accepts exactly what the schema accepts", async () => {
      await fc.assert(
        fc.asyncProperty(anyProps, async (news) => {
          fc.pre(!hasUnknown(news));
          const { failures = [] } = await provider.check({}, news);
          const { success, error } = definition.inputs.safeParse(news);
          const rules = success
            ? (definition.rules?.(definition.inputs.parse(news), {}) ?? [])
            : [];
          const wrong = error?.issues ?? rules.map(({ property }) => ({ path: [property] }));
          assert.deepEqual(
            failures.map(({ property }) => property).toSorted(),
            wrong.map(({ path }) => path.join(".")).toSorted(),
          );
        }),
      );
    });
  });

  describe("diff", () => {
    it("sees no change if the inputs are the same, whatever the attributes", async () => {
      await fc.assert(
        fc.asyncProperty(anyProps, async (props) => {
          const { inputs = {} } = await provider.check({}, props);
          const olds = structuredClone({ ...inputs, url: "u", token: "t", __provider: "text" });
          const { changes, replaces } = await provider.diff("one", olds, inputs);
          assert.deepEqual({ changes, replaces }, { changes: false, replaces: [] });
        }),
      );
    });

    it("sees every input that was changed, added or removed", async () => {
      for (const news of [
        { ...INPUTS, size: 4 },
        { ...INPUTS, tags: ["b"] },
        { ...INPUTS, password: "another one" },
        { ...INPUTS, note: "new" },
      ]) {
        const { changes, replaces } = await provider.diff("one", STATE, news);
        assert.deepEqual({ changes, replaces }, { changes: true, replaces: [] });
      }
      const { changes } = await provider.diff("one", { ...STATE, note: "old" }, INPUTS);
      assert.equal(changes, true);
    });

    it("replaces the object if an input cannot change in place, and deletes the old one first", async () => {
      const news = { ...INPUTS, name: "two", project: "other", size: 9 };
      assert.deepEqual(await provider.diff("one", STATE, news), {
        changes: true,
        replaces: ["name", "project"],
        deleteBeforeReplace: true,
      });
    });

    it("counts an unknown value as a change, but not as a replacement", async () => {
      const { changes, replaces } = await provider.diff("one", STATE, { ...INPUTS, name: UNKNOWN });
      assert.deepEqual({ changes, replaces }, { changes: true, replaces: [] });
    });

    it("sees a change after an interrupted delete, and replaces an object that it deleted", async () => {
      await provider.create(INPUTS);
      const begun = { ...STATE, deleteBegun: true };
      assert.deepEqual(await provider.diff("one", begun, INPUTS), {
        changes: true,
        replaces: [],
        deleteBeforeReplace: true,
      });
      const { outs } = await provider.update("one", begun, INPUTS);
      assert.deepEqual(outs, STATE);

      await provider.delete("one", STATE);
      const { changes, replaces } = await provider.diff("one", begun, INPUTS);
      assert.deepEqual({ changes, replaces }, { changes: true, replaces: ["name"] });
    });

    it("calls no server", async () => {
      await provider.check({}, INPUTS);
      await provider.diff("one", STATE, INPUTS);
      assert.deepEqual(server.calls, []);
    });
  });

  describe("create", () => {
    it("creates the object, and returns inputs and attributes", async () => {
      assert.deepEqual(await provider.create({ ...INPUTS, __provider: "text" }), {
        id: "one",
        outs: STATE,
      });
      assert.deepEqual(server.calls, ["connect", "find", "create", "apply", "close"]);
    });

    it("adopts an object of this project instead of creating one", async () => {
      server.things.set("one", { owner: "my-app", size: 0, tags: [] });
      const { id, outs } = await provider.create(INPUTS);
      assert.deepEqual({ id, outs }, { id: "one", outs: STATE });
      assert.equal(server.things.get("one")?.size, 3);
      assert(!server.calls.includes("create"));
    });

    it("refuses an object of anybody else, and does not change it", async () => {
      const theirs = { owner: "other", size: 0, tags: [] };
      server.things.set("one", theirs);
      const error = await fails(provider.create(INPUTS), "RDEV_NOT_OURS");
      assert.match(error.message, /thing one .*Choose another slug, or remove it/);
      assert.equal(error.id, undefined);
      assert.deepEqual(server.things.get("one"), { owner: "other", size: 0, tags: [] });
    });

    it("reports id and inputs if it fails after the creation, and an update finishes it", async () => {
      server.failing.apply = failsWith("RDEV_REFUSED", "no room");
      const half = await fails(provider.create(INPUTS), "RDEV_REFUSED");
      const { id, properties, reasons } = half as typeof half & { reasons?: string[] };
      assert.deepEqual(
        { id, properties, reasons },
        { id: "one", properties: INPUTS, reasons: ["RDEV_REFUSED: no room"] },
      );
      server.failing = {};
      const { outs } = await provider.update("one", half.properties ?? {}, INPUTS);
      assert.deepEqual(outs, STATE);
    });

    it("reports the id also if the deadline passed", async () => {
      server.failing.apply = () => new Promise(() => undefined);
      const half = await fails(provider.create(INPUTS), "RDEV_DEADLINE");
      assert.equal(half.id, "one");
    });

    it("reports no id if nothing was created", async () => {
      server.failing.find = failsWith("RDEV_UNREACHABLE", "down");
      const error = await fails(provider.create(INPUTS), "RDEV_UNREACHABLE");
      assert(!("id" in error));
    });
  });

  describe("update", () => {
    it("changes the object to match its inputs, and returns a complete state", async () => {
      await provider.create(INPUTS);
      const news = { ...INPUTS, size: 9 };
      const { outs } = await provider.update("one", { ...STATE, note: "gone" }, news);
      assert.deepEqual(outs, { ...STATE, size: 9 });
      assert.equal(server.things.get("one")?.size, 9);
    });

    it("says what to do if the object no longer exists", async () => {
      const error = await fails(provider.update("one", STATE, INPUTS), "RDEV_GONE");
      assert.match(error.message, /thing one .*Run a refresh, then up again/);
    });
  });

  describe("read", () => {
    it("returns the state if nothing changed", async () => {
      await provider.create(INPUTS);
      assert.deepEqual(await provider.read("one", STATE), {
        id: "one",
        props: STATE,
        inputs: INPUTS,
      });
    });

    it("returns drift, which the next diff sees", async () => {
      await provider.create(INPUTS);
      server.things.set("one", { owner: "my-app", size: 8, tags: [] });
      const { props = {}, inputs } = await provider.read("one", STATE);
      assert.deepEqual(props, { ...STATE, size: 8, tags: [] });
      assert.deepEqual(inputs, { ...INPUTS, size: 8, tags: [] });
      assert.equal((await provider.diff("one", props, INPUTS)).changes, true);
    });

    it("notices that the object no longer exists", async () => {
      assert.deepEqual(await provider.read("one", STATE), { id: "", props: {} });
    });
  });

  describe("delete", () => {
    it("deletes, and succeeds if there is nothing to delete", async () => {
      await provider.create(INPUTS);
      await provider.delete("one", STATE);
      assert.equal(server.things.size, 0);
      await provider.delete("one", STATE);
      assert.equal(server.calls.filter((call) => call === "delete").length, 1);
    });

    it("keeps an object that is no longer ours, and another object with the name", async () => {
      server.things.set("one", { owner: "other", size: 0, tags: [] });
      await provider.delete("one", STATE);
      server.things.set("one", { owner: "my-app", size: 0, tags: [] });
      await provider.delete("another id", STATE);
      assert.equal(server.things.size, 1);
    });
  });

  describe("errors", () => {
    const TOKEN = "s3cret+t0ken/==";
    const URL_PASSWORD = "url p@ss!";
    const OLD_PASSWORD = "old p@ss word/1/";

    beforeEach(() => {
      set({
        // Part of the next secret. Removed first, it would leave the rest of it.
        OTHER_TOKEN: TOKEN.slice(0, 6),
        GITEA_TOKEN: TOKEN,
        POSTGRES_ADMIN_URL: `postgres://admin:${encodeURIComponent(URL_PASSWORD)}@localhost/db`,
      });
    });

    it("contain no stack and no secret of variables, inputs or attributes", async () => {
      await provider.create(INPUTS);
      const olds = { ...STATE, password: OLD_PASSWORD };
      const operations: readonly {
        when: keyof Server["failing"];
        secrets: readonly string[];
        run: () => Promise<unknown>;
      }[] = [
        { when: "connect", secrets: [INPUTS.password], run: () => provider.create(INPUTS) },
        { when: "apply", secrets: [INPUTS.password], run: () => provider.create(INPUTS) },
        {
          when: "apply",
          secrets: [INPUTS.password, OLD_PASSWORD, ATTRIBUTES.token],
          run: () => provider.update("one", olds, INPUTS),
        },
        { when: "find", secrets: [OLD_PASSWORD], run: () => provider.delete("one", olds) },
        { when: "connect", secrets: [ATTRIBUTES.token], run: () => provider.read("one", olds) },
      ];
      for (const { when, secrets, run } of operations) {
        const planted = [TOKEN, URL_PASSWORD, ...secrets].flatMap((secret) => [
          secret,
          encodeURIComponent(secret),
        ]);
        const said = planted.join(" and ");
        server.failing[when] = () => {
          throw new Error(`It said ${said}`, { cause: new Error(said) });
        };
        const error = await fails(run(), "RDEV_INTERNAL", planted);
        server.failing = {};
        assert.equal(
          error.message,
          `RDEV_INTERNAL: It said ${planted.map(() => "[secret]").join(" and ")}`,
        );
        // The engine's plugin prints name and stack, and Node prints causes.
        assert.deepEqual([error.name, error.stack, error.cause], ["error", "", undefined]);
        assert.deepEqual((error as { reasons?: string[] }).reasons ?? [error.message], [
          error.message,
        ]);
      }
    });

    it("close the connection, and a failing close does not hide them", async () => {
      server.failing.close = failsWith("RDEV_INTERNAL", "close");
      server.failing.find = failsWith("RDEV_UNREACHABLE", "down");
      await fails(provider.create(INPUTS), "RDEV_UNREACHABLE");
      server.failing = { close: failsWith("RDEV_INTERNAL", "close") };
      await provider.create(INPUTS);
    });

    it("report a passed deadline, also if the connection hangs", async () => {
      server.failing.find = () => new Promise(() => undefined);
      await fails(provider.create(INPUTS), "RDEV_DEADLINE");
      server.failing = { connect: () => new Promise(() => undefined) };
      await fails(provider.read("one", STATE), "RDEV_DEADLINE");
    });
  });
});

describe("providerReference", () => {
  it("is the text that every state contains", () => {
    // Never change it. Existing objects could no longer be read, changed or deleted.
    assert.equal(
      providerReference("gitea/repository"),
      'exports.handler = () => require("node:module")' +
        '.createRequire(process.cwd() + "/")("rdev-infra/providers/gitea/repository").provider;',
    );
  });

  it("loads every provider from the project's root, as the engine's plugin does", () => {
    const load = createRequire(import.meta.resolve("@pulumi/pulumi")).resolve(
      "require-from-string",
    );
    const script = `
      const load = require(${JSON.stringify(load)});
      for (const reference of JSON.parse(process.env.REFERENCES)) {
        console.log(Object.keys(load(reference).handler()).join());
      }`;
    const { stdout, stderr } = spawnSync(process.execPath, ["-e", script], {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      env: { ...process.env, REFERENCES: JSON.stringify(MODULES.map(providerReference)) },
      encoding: "utf8",
    });
    const operations = "check,diff,create,update,read,delete,find\n";
    assert.equal(stdout, operations.repeat(MODULES.length), stderr);
  }).timeout(30_000);
});

/** Every module that a state may name. Removing one breaks old states. */
const MODULES = Object.values(SYSTEMS).flatMap(({ resources }) => Object.keys(resources));

const anyValue = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.array(fc.string()),
  fc.constant(UNKNOWN),
);

/** Inputs that are often, but not always, valid. */
const anyProps: fc.Arbitrary<Props> = fc.record(
  {
    name: fc.oneof(fc.string(), anyValue),
    project: fc.string(),
    size: fc.oneof(fc.nat(9), anyValue),
    tags: fc.oneof(fc.array(fc.string(), { maxLength: 3 }), anyValue),
    password: fc.string(),
    note: fc.string(),
  },
  { requiredKeys: [] },
);
