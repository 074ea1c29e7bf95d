import assert from "node:assert/strict";
import { Cache, type CacheArgs } from "../../components/cache.ts";
import { Database, type DatabaseArgs } from "../../components/database.ts";
import { DnsRecord } from "../../components/dns-record.ts";
import { TemplateSeed } from "../../components/template-seed.ts";
import * as pulumi from "@pulumi/pulumi";
import { record, TENANT } from "../support/mocks.ts";
import { make, NO_RIGHTS, owner, values } from "../support/components.ts";

describe("components", () => {
  for (const [component, create] of Object.entries(make)) {
    it(`${component} can be created twice without a name collision`, async () => {
      const { all } = await record(() => {
        create("one-app");
        create("two-app");
      });
      assert.equal(all.filter(({ type }) => type === `rdev:components:${component}`).length, 2);
      const custom = all.filter((one) => one.custom);
      assert.ok(custom.length >= 2);
      for (const { name } of custom) assert.match(name, /^(one|two)-app/);
    });
  }

  it("have no provider code in their inputs, only its reference", async () => {
    const { all } = await record(() => {
      for (const [component, create] of Object.entries(make)) create(component.toLowerCase());
    });
    const dynamic = all.filter(({ type }) => type.startsWith("pulumi-nodejs:dynamic/"));
    assert.ok(dynamic.length >= 10);
    for (const { inputs, type } of dynamic) {
      assert.match(
        String(inputs["__provider"]),
        /"rdev-infra\/providers\/[\w/-]+"\)\.provider;$/,
        type,
      );
      assert.ok(String(inputs["__provider"]).length < 200);
    }
  });
});

describe("GitRepo", () => {
  it("makes a private repository in the organization, with the project's mark", async () => {
    const { one, result } = await record(() => make.GitRepo("my-app").fullName);
    const { inputs } = one("gitea:Repository");
    assert.equal(inputs["organization"], "projects");
    assert.equal(inputs["name"], "my-app");
    assert.deepEqual(inputs["owner"], owner);
    assert.equal(inputs["retain"], false);
    assert.equal(result, "projects/my-app");
  });
});

describe("DnsRecord", () => {
  for (const [target, type] of [
    ["192.0.2.1", "A"],
    ["2001:db8::1", "AAAA"],
    ["ingress.example.test", "CNAME"],
  ] as const) {
    it(`makes a record of type ${type} for ${target}`, async () => {
      const { one } = await record(
        () =>
          new DnsRecord("x", { slug: "my-app", owner, domain: "example.test", target, ttl: 60 }),
      );
      const { inputs } = one("dns:Record");
      assert.equal(inputs["type"], type);
      assert.equal(inputs["name"], "my-app.example.test");
      assert.equal(inputs["zone"], "example.test");
      assert.equal(inputs["content"], target);
      assert.equal(inputs["ttl"], 60);
    });
  }
});

describe("Database", () => {
  it("makes a role with a generated password, and a secret URL", async () => {
    let secret: boolean | undefined;
    const { one, result } = await record(async () => {
      const { url } = make.Database("my-app");
      secret = await pulumi.isSecret(url);
      return url;
    });
    const { inputs, secrets } = one("postgres:Database");
    assert.equal(inputs["name"], "my_app");
    assert.equal(inputs["connectionLimit"], 5);
    assert.ok(secrets.includes("password"));
    assert.equal(result, "postgres://my_app:password-of-my-app-database-password@db:5432/my_app");
    assert.equal(secret, true);
  });

  it("keeps the administrator's sslmode in the URL", async () => {
    const { result } = await record(() => make.Database("my-app").url, { sslmode: "require" });
    assert.match(String(result), /@db:5432\/my_app\?sslmode=require$/);
  });

  it("gives pods the address that the platform sets", async () => {
    const url = (address: DatabaseArgs["address"] & object) =>
      record(
        () => new Database("my-app", { slug: "my-app", owner, connectionLimit: 5, address }).url,
        {
          sslmode: "require",
        },
      );
    const own = await url({ host: "2001:db8::1", port: 6432, sslmode: "verify-full" });
    assert.match(String(own.result), /@\[2001:db8::1\]:6432\/my_app\?sslmode=verify-full$/);
    const kept = await url({ host: "postgres.data.svc", port: 5432 });
    assert.match(String(kept.result), /@postgres\.data\.svc:5432\/my_app\?sslmode=require$/);
  });
});

describe("Cache", () => {
  it("makes a user limited to the slug's prefix, and a secret URL", async () => {
    let secret: boolean | undefined;
    const { one, result } = await record(async () => {
      const { url } = make.Cache("my-app");
      secret = await pulumi.isSecret(url);
      return url;
    });
    const { inputs, secrets } = one("redis:User");
    assert.equal(inputs["prefix"], "my-app:");
    assert.ok(secrets.includes("password"));
    assert.equal(result, "redis://my-app:password-of-my-app-cache-password@cache:6379");
    assert.equal(secret, true);
  });

  it("gives pods the address that the platform sets", async () => {
    const url = (address: CacheArgs["address"] & object) =>
      record(() => new Cache("my-app", { slug: "my-app", owner, rights: NO_RIGHTS, address }).url);
    const own = await url({ host: "redis.data.svc", port: 6380, tls: true });
    assert.match(String(own.result), /^rediss:.*@redis\.data\.svc:6380$/);
    const kept = await url({ host: "::1", port: 6379 });
    assert.match(String(kept.result), /^redis:.*@\[::1\]:6379$/);
  });

  it("permits scripts and INFO only if the platform does", async () => {
    const rulesFor = async (rights: CacheArgs["rights"]) => {
      const { one } = await record(() => new Cache("my-app", { slug: "my-app", owner, rights }));
      return String(one("redis:User").inputs["commands"]).split(" ");
    };
    const more = ["+eval", "+info"];
    const none = await rulesFor(NO_RIGHTS);
    assert.deepEqual(
      more.filter((rule) => none.includes(rule)),
      [],
    );
    const both = await rulesFor({ scripts: true, info: true });
    assert.deepEqual(
      more.filter((rule) => both.includes(rule)),
      more,
    );
  });
});

describe("CiPipeline", () => {
  it("activates the repository and sets the secrets of its pipeline", async () => {
    const { one, byType } = await record(() => make.CiPipeline("my-app"));
    assert.equal(one("woodpecker:Repository").inputs["forgeRemoteId"], 7);
    assert.equal(one("woodpecker:RegistryCredentials").inputs["credentialsVersion"], 1);
    const secrets = byType("woodpecker:Secret");
    assert.deepEqual(secrets.map(({ inputs }) => inputs["name"]).sort(), ["kube_ca", "kube_token"]);
    for (const { secrets: keys } of secrets) assert.ok(keys.includes("value"));
  });
});

describe("TemplateSeed", () => {
  it("passes the template's values to the seeding program, but no secret", async () => {
    const { one } = await record(() => make.TemplateSeed("my-app"));
    const { inputs, secrets } = one("command:local:Command");
    const environment = inputs["environment"] as Record<string, string>;
    assert.equal(environment["SEED_TEMPLATE"], "skeleton");
    assert.deepEqual(JSON.parse(environment["SEED_VALUES"] ?? ""), values);
    assert.deepEqual(secrets, []);
    assert.equal(inputs["delete"], undefined);
  });

  it("seeds again if the repository is a new one", async () => {
    const { one } = await record(() => make.TemplateSeed("my-app"));
    assert.deepEqual(one("command:local:Command").inputs["triggers"], [7]);
  });

  it("refuses a template that does not exist, also in a preview", async () => {
    const program = () =>
      new TemplateSeed("x", {
        template: "nothing",
        repository: "o/r",
        repositoryId: 7,
        cloneUrl: "u",
        branch: "main",
        values,
      });
    await assert.rejects(record(program, { preview: true }), { code: "RDEV_TEMPLATE" });
  });
});

describe("WorkloadLabels", () => {
  it("patches only the labels of the pods", async () => {
    const { one } = await record(() => make.WorkloadLabels("claudebox"));
    const { inputs } = one("kubernetes:apps/v1:StatefulSetPatch");
    assert.deepEqual(inputs["metadata"], { namespace: "rdev", name: "claudebox" });
    assert.deepEqual(inputs["spec"], {
      template: {
        metadata: {
          labels: { "citadel.io/environment": TENANT, "citadel.io/service": "claudebox" },
        },
      },
    });
  });
});
