import assert from "node:assert/strict";
import { CoreV1Api } from "@kubernetes/client-node";
import { Redis } from "ioredis";
import pg from "pg";
import { databaseName } from "../../core/slug.ts";
import { Registry } from "../../providers/registry/client.ts";
import { json, kubeConfig } from "../../sandbox/proofs/stage.ts";
import { projects, succeeded, type Project } from "../support/stage.ts";
import { variable } from "../support/variables.ts";
import { withVariables } from "../support/with-variables.ts";

/** An object that somebody made by hand, of the name that a project wants. */
interface Stranger {
  make(): Promise<unknown>;
  /** All that its server says of it. */
  look(): Promise<unknown>;
  remove(): Promise<unknown>;
}

describe("objects of a project's slug that somebody else made", function () {
  this.timeout(120_000);
  const project = projects();

  it("are refused by name, stay untouched, and outlive the project's destroy", async () => {
    const one = await project();
    const strangers = strangersOf(one);
    const all: Stranger[] = Object.values(strangers);
    for (const { make } of all) await make();
    try {
      const before = await Promise.all(all.map(({ look }) => look()));
      const { result, errors } = await withVariables({ PULUMI_CONTINUE_ON_ERROR: "true" }, () =>
        one.up(),
      );
      assert.equal(result, "failed");
      assert.deepEqual(
        errors.map(({ code, message }) => `${code}: ${message.split(" exists already")[0]}`).sort(),
        [
          `RDEV_NOT_OURS: The Citadel environment ${await strangers.tenant.id()}`,
          `RDEV_NOT_OURS: The DNS record ${one.slug}.${one.place.domain}/A`,
          `RDEV_NOT_OURS: The Gitea repository ${one.place.organization}/${one.slug}`,
          `RDEV_NOT_OURS: The Kubernetes namespace ${one.slug}`,
          `RDEV_NOT_OURS: The PostgreSQL database ${databaseName(one.slug)}`,
          `RDEV_NOT_OURS: The Redis user ${one.slug}`,
          `RDEV_NOT_OURS: The registry path ${one.slug}`,
        ],
      );
      succeeded(await one.destroy());
      assert.deepEqual(await Promise.all(all.map(({ look }) => look())), before);
    } finally {
      for (const { remove } of all) await remove();
    }
  });
});

function strangersOf({ slug, place }: Project) {
  const { domain, organization } = place;
  const gitea = `${variable("GITEA_URL")}/api/v1`;
  const giteaHeaders = { authorization: `token ${variable("GITEA_TOKEN")}` };
  const citadel = `${variable("CITADEL_URL")}/api/v1/tenants`;
  const citadelHeaders = { authorization: `Bearer ${variable("CITADEL_API_KEY")}` };
  const zone = `${variable("POWERDNS_URL")}/api/v1/servers/localhost/zones/${domain}.`;
  const dnsHeaders = { "x-api-key": variable("POWERDNS_API_KEY") };
  const rrset = { name: `${slug}.${domain}.`, type: "A" };
  const changeRecord = (change: object) =>
    json(zone, dnsHeaders, { method: "PATCH", status: 204, body: { rrsets: [change] } });
  const core = kubeConfig(place).makeApiClient(CoreV1Api);
  const registry = new Registry();
  const role = databaseName(slug);
  const tenants = () =>
    json<{ tenants: { id: string }[] }>(`${citadel}?slug=${slug}`, citadelHeaders);

  return {
    repository: {
      make: () =>
        json(`${gitea}/orgs/${organization}/repos`, giteaHeaders, {
          method: "POST",
          status: 201,
          body: { name: slug, description: "mine", auto_init: true },
        }),
      look: () => json(`${gitea}/repos/${organization}/${slug}`, giteaHeaders),
      remove: () =>
        json(`${gitea}/repos/${organization}/${slug}`, giteaHeaders, {
          method: "DELETE",
          status: 204,
        }),
    },
    record: {
      make: () =>
        changeRecord({
          ...rrset,
          changetype: "REPLACE",
          ttl: 60,
          records: [{ content: "198.51.100.7", disabled: false }],
        }),
      look: async () => {
        const { rrsets } = await json<{ rrsets: { name: string }[] }>(zone, dnsHeaders);
        return rrsets.filter(({ name }) => name === rrset.name);
      },
      remove: () => changeRecord({ ...rrset, changetype: "DELETE" }),
    },
    database: {
      make: async () => {
        await sql(`CREATE ROLE ${role} LOGIN PASSWORD 'mine'`);
        await sql(`CREATE DATABASE ${role} OWNER ${role}`);
      },
      look: () =>
        sql(
          `SELECT a.*, d.*, shobj_description(a.oid, 'pg_authid') AS comment
           FROM pg_authid a JOIN pg_database d ON d.datdba = a.oid WHERE rolname = '${role}'`,
        ),
      remove: async () => {
        await sql(`DROP DATABASE IF EXISTS ${role}`);
        await sql(`DROP ROLE IF EXISTS ${role}`);
      },
    },
    cache: {
      make: () => redis("ACL", "SETUSER", slug, "on", ">mine", "~mine:*", "+get"),
      look: () => redis("ACL", "GETUSER", slug),
      remove: () => redis("ACL", "DELUSER", slug),
    },
    namespace: {
      make: () => core.createNamespace({ body: { metadata: { name: slug } } }),
      look: async () => (await core.readNamespace({ name: slug })).metadata?.uid,
      remove: () => core.deleteNamespace({ name: slug }),
    },
    images: {
      make: () =>
        registry.pushEmpty(slug, "1", "application/vnd.example.image", { made: "by hand" }),
      look: async () => [await registry.tags(slug), await registry.digest(slug, "1")],
      remove: async () => {
        const digest = await registry.digest(slug, "1");
        if (digest) await registry.deleteManifest(slug, digest);
      },
    },
    tenant: {
      make: () =>
        json(citadel, citadelHeaders, {
          method: "POST",
          status: 201,
          body: { slug, name: "mine", organization: "orchard9" },
        }),
      look: tenants,
      id: async () => (await tenants()).tenants[0]?.id,
      remove: async () => {
        for (const { id } of (await tenants()).tenants) {
          await json(`${citadel}/${id}`, citadelHeaders, { method: "DELETE", status: 204 });
        }
      },
    },
  };
}

async function sql(statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: variable("POSTGRES_ADMIN_URL") });
  await client.connect();
  const { rows } = await client.query<object>(statement).finally(() => client.end());
  return rows;
}

async function redis(...words: [string, ...string[]]): Promise<unknown> {
  const client = new Redis(variable("REDIS_ADMIN_URL"));
  return client.call(...words).finally(() => client.disconnect());
}
