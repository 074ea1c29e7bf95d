import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { z } from "zod";
import { type LuaValue, startLua } from "./lua.ts";

const PLATFORM = "11111111-1111-4111-8111-111111111111";
const PROJECT = "22222222-2222-4222-8222-222222222222";
const OTHER = "33333333-3333-4333-8333-333333333333";
const TAG = `kube.var.log.containers.web-7d4b_shop_app-${"0123456789abcdef".repeat(4)}.log`;
const TIME = Date.UTC(2026, 2, 1, 10, 15, 30, 7);
const ENVIRONMENT = "citadel.io/environment";

/** The event of Citadel's contract. */
const eventSchema = z.strictObject({
  message: z.string(),
  level: z.enum(["error", "warn", "info", "debug", "trace"]),
  timestamp: z.iso.datetime({ precision: 3 }),
  service: z.string().min(1),
  environment: z.literal("staging"),
  target: z.string().min(1),
  fields: z.looseObject({ k8s: z.looseObject({ tenant: z.uuid() }) }),
});
type Event = z.infer<typeof eventSchema>;

interface Corpus {
  readonly name: string;
  readonly line: string;
  readonly event: Partial<Event>;
}
const corpus = JSON.parse(
  readFileSync(new URL("corpus/lines.json", import.meta.url), "utf8"),
) as Corpus[];

describe("shape.lua", () => {
  const shape = startLua({ CITADEL_TENANT_ID: PLATFORM, NODE_NAME: "node-1" });
  const pod = (labels: Record<string, string> = {}) => ({
    kubernetes: { pod_id: "1", labels },
    kubernetes_namespace: { name: "shop" },
  });
  const bound = (environment: string) => ({
    kubernetes_namespace: { name: "shop", labels: { [ENVIRONMENT]: environment } },
  });
  const shaped = (log: LuaValue, more: Record<string, LuaValue> = pod()) =>
    shape({ tag: TAG, time: TIME, record: { log, stream: "stdout", ...more } });
  const eventOf = (log: LuaValue, more?: Record<string, LuaValue>): Event => {
    const { code, record } = shaped(log, more);
    assert.equal(code, 2);
    eventSchema.parse(record);
    // Its result is not used, because zod omits a field named `__proto__`.
    return record as Event;
  };

  describe("with real lines", () => {
    for (const { name, line, event } of corpus) {
      it(name, () => {
        const got = eventOf(line);
        const { k8s: _, ...fields } = got.fields;
        const expected = { timestamp: "2026-03-01T10:15:30.007Z", target: "app", ...event };
        assert.deepEqual({ ...got, fields }, { ...got, ...expected });
      });
    }
  });

  it("adds the source of the line", () => {
    const event = eventOf("hello", pod({ "citadel.io/service": "shop-api" }));
    assert.equal(event.service, "shop-api");
    assert.deepEqual(event.fields.k8s, {
      namespace: "shop",
      pod: "web-7d4b",
      container: "app",
      node: "node-1",
      stream: "stdout",
      tenant: PLATFORM,
    });
  });

  it("names the project as the service of a pod whose labels are unknown", () => {
    const labels = { [ENVIRONMENT]: PROJECT, "rdev.io/project": "my-shop" };
    const namespace = { kubernetes_namespace: { name: "shop", labels } };
    assert.equal(eventOf("last words", namespace).service, "my-shop");
    assert.equal(eventOf("hello", { ...pod(), ...namespace }).service, "app");
    assert.equal(eventOf("last words", bound(PROJECT)).service, "app");
  });

  it("drops only blank lines", () => {
    for (const line of ["", " \t", "\r"]) assert.equal(shaped(line).code, -1);
    assert.equal(shaped(".").code, 2);
  });

  it("cuts a message of more than 256 KiB, and notes it", () => {
    for (const letter of ["x", "é", "😀"]) {
      const { message } = eventOf(letter.repeat(270_000));
      assert.ok(Buffer.byteLength(message) <= 256 * 1024, letter);
      assert.match(message, /… \[cut: \d+ bytes\]$/);
    }
  });

  it("keeps values deeper than twelve levels as text, and absurdly deep lines as a message", () => {
    const nested = (depth: number) => `{"msg":"x","a":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    assert.match(JSON.stringify(eventOf(nested(50)).fields["a"]), /"\[\[+\]+\]"/);
    assert.equal(eventOf(nested(100_000)).message, nested(100_000));
  });

  it("keeps both values of a name that occurs twice, or of names that become the same", () => {
    const { k8s: _, ...fields } = eventOf(
      String.raw`{"msg":"x","a":1,"a":2,"a_2":3,"\u0001":4,"\u2401":5,"\ud800":6,"\ud801":7}`,
    ).fields;
    assert.deepEqual(Object.values(fields).toSorted(), [1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual([fields["a"], fields["a_2"], fields["a_2_2"]], [1, 2, 3]);
  });

  it("is fast for lines that are crafted to be slow", () => {
    const names = Array.from({ length: 3_000 }, (_, name) =>
      Buffer.from([34, 128 + (name % 64), 128 + Math.floor(name / 64), ...Buffer.from('":1,')]),
    );
    const line = Buffer.concat([Buffer.from("{"), ...names, Buffer.from('"a":1}')]);
    assert.equal(Object.keys(eventOf(line).fields).length, 3_002);
    const twice = `{${'"a":1,'.repeat(5_000)}"a":1}`;
    assert.equal(Object.keys(eventOf(twice).fields).length, 5_002);
    assert.equal(eventOf(`${"\r".repeat(100_000)}x\r`).message.length, 100_001);
  });

  it("does not start without the platform's tenant", () => {
    assert.throws(() => startLua({ CITADEL_TENANT_ID: "" }), /CITADEL_TENANT_ID/);
  });

  describe("the tenant of an event", () => {
    const tenant = (more: Record<string, LuaValue>) => eventOf("x", more).fields.k8s;

    it("is the one in the pod's label", () => {
      assert.equal(tenant(pod({ [ENVIRONMENT]: PROJECT.toUpperCase() })).tenant, PROJECT);
    });

    it("is the platform's without a label, or, with a remark, with an invalid label", () => {
      assert.equal(tenant(pod()).tenant, PLATFORM);
      const { tenant: id, malformed_environment: mark } = tenant(pod({ [ENVIRONMENT]: "shop" }));
      assert.deepEqual([id, mark], [PLATFORM, "shop"]);
    });

    it("is the namespace's, whatever the pod's label is", () => {
      assert.equal(tenant({ ...pod(), ...bound(PROJECT) }).tenant, PROJECT);
      const lied = tenant({ ...pod({ [ENVIRONMENT]: OTHER }), ...bound(PROJECT) });
      assert.deepEqual([lied.tenant, lied["refused_environment"]], [PROJECT, OTHER]);
      const none = tenant({ ...pod({ [ENVIRONMENT]: OTHER }), ...bound("") });
      assert.deepEqual([none.tenant, none["refused_environment"]], [PLATFORM, OTHER]);
    });

    it("is the namespace's for a pod that no longer exists", () => {
      assert.equal(tenant(bound(PROJECT)).tenant, PROJECT);
    });

    it("is the last known one of the namespace while the API server is away", () => {
      const away = startLua({ CITADEL_TENANT_ID: PLATFORM, NODE_NAME: "node-1" });
      const ask = (more: Record<string, LuaValue>) => {
        const { record } = away({ tag: TAG, time: TIME, record: { log: "x", ...more } });
        return (record as Partial<Event>).fields?.k8s.tenant;
      };
      const known = (labels: Record<string, string>) => ({ kubernetes: { pod_id: "1", labels } });
      assert.equal(ask(known({})), PLATFORM);
      assert.equal(ask({ ...known({}), ...bound(PROJECT) }), PROJECT);
      assert.equal(ask(known({})), PROJECT);
      assert.equal(ask(known({ [ENVIRONMENT]: PROJECT })), PROJECT);
      // It waits: the pod lies, or its namespace was created again.
      assert.equal(ask(known({ [ENVIRONMENT]: OTHER })), undefined);
      assert.equal(ask({ ...known({ [ENVIRONMENT]: OTHER }), ...bound(OTHER) }), OTHER);
      // A new pod waits for its own labels.
      assert.equal(ask({}), undefined);
    });

    it("is unknown while pod and namespace are unknown; the line waits unchanged", () => {
      const { code, record } = shaped("secret", {});
      assert.equal(code, 2);
      const { held, ...rest } = record as Record<string, unknown>;
      assert.equal(typeof held, "number");
      assert.deepEqual(rest, { log: "secret", stream: "stdout" });
      assert.equal(shaped("secret", { held: held as number }).code, 0);
    });

    it("is the platform's for a pod that stays unknown in a namespace without a binding", () => {
      const namespace = { kubernetes_namespace: { name: "shop" } };
      const old = Math.floor(Date.now() / 1000) - 301;
      assert.equal((shaped("x", namespace).record as { held?: number }).held !== undefined, true);
      const late = tenant({ ...namespace, held: old });
      assert.deepEqual([late.tenant, late["labels"]], [PLATFORM, "missing"]);
      // The API server has never answered, so the line waits without a limit.
      assert.equal(shaped("x", { held: old }).code, 0);
    });
  });

  describe("with arbitrary input", () => {
    const key = fc.string({ unit: "binary", maxLength: 10 });
    const value = fc.letrec<{ any: unknown }>((tie) => ({
      any: fc.oneof(
        { depthSize: "small" },
        fc.string({ unit: "binary" }),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.maxSafeInteger(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("any"), { maxLength: 4 }),
        fc.dictionary(key, tie("any"), { maxKeys: 4, noNullPrototype: true }),
      ),
    })).any;

    it("makes a valid event of any bytes, for the right tenant", () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
          const { code, record } = shaped(bytes, { ...pod(), ...bound(PROJECT) });
          if (code === -1) return;
          assert.equal(eventSchema.parse(record).fields.k8s.tenant, PROJECT);
        }),
        { numRuns: 200 },
      );
    });

    it("gives every event a tenant that is a lower-case UUID", () => {
      fc.assert(
        fc.property(fc.string({ unit: "binary" }), (label) => {
          assert.match(
            eventOf("x", pod({ [ENVIRONMENT]: label })).fields.k8s.tenant,
            /^[0-9a-f-]{36}$/,
          );
        }),
      );
    });

    it("keeps every field of any object", () => {
      const names = fc.constantFrom(
        "msg",
        "message",
        "level",
        "time",
        "ts",
        "k8s",
        "logger",
        "a",
        "b_",
      );
      fc.assert(
        fc.property(
          fc.dictionary(fc.oneof(names, key), value, { maxKeys: 8, noNullPrototype: true }),
          (object) => {
            const { k8s: _, ...fields } = eventOf(JSON.stringify(object)).fields;
            const parts = ["msg", "message", "level", "time", "ts", "logger"];
            for (const [name, inner] of Object.entries(object)) {
              // Other names and values are cleaned. Their number stays the same.
              if (!/^[a-z_]+$/.test(name) || name === "k8s" || parts.includes(name)) continue;
              assert.ok(Object.hasOwn(fields, name), `${name} is lost`);
              if (typeof inner === "boolean" || inner === null) assert.equal(fields[name], inner);
            }
            if (Object.hasOwn(object, "k8s")) assert.ok("k8s_" in fields);
            // At most message, level, time and target are moved out of the fields.
            assert.ok(Object.keys(fields).length >= Object.keys(object).length - 4);
          },
        ),
        { numRuns: 200, examples: [[{ ["__proto__"]: true }]] },
      );
    });

    it("keeps numbers exactly, or as text", () => {
      fc.assert(
        fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
          const got = eventOf(JSON.stringify({ msg: "x", number })).fields["number"];
          assert.equal(Number(got) + 0, number + 0);
        }),
      );
    });
  });
});
