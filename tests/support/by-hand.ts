import { CoreV1Api } from "@kubernetes/client-node";
import { Redis } from "ioredis";
import { markLabels } from "../../core/labels.ts";
import { markOf, markText, type Owner } from "../../core/ownership.ts";
import { databaseName } from "../../core/slug.ts";
import { Registry } from "../../providers/registry/client.ts";
import { MARK, markPath } from "../../providers/registry/mark.ts";
import { json, kubeConfig } from "../../sandbox/proofs/project.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import type { Project } from "./stage.ts";
import { variable } from "./variables.ts";

/** An object that was made by hand, with the name of a project's object. */
export interface ByHand {
  make(): Promise<unknown>;
  /** The server's complete description of it. */
  look(): Promise<unknown>;
  remove(): Promise<unknown>;
}

/**
 * Objects of each kind, made by raw API calls. They have the mark of the owner; without an owner they
 * are foreign.
 */
export function madeByHand({ slug, place }: Pick<Project, "slug" | "place">, owner?: Owner) {
  const { domain, organization } = place;
  const mark = owner && markText(owner);
  const gitea = `${variable("GITEA_URL")}/api/v1`;
  const giteaHeaders = { authorization: `token ${variable("GITEA_TOKEN")}` };
  const woodpecker = `${variable("WOODPECKER_URL")}/api/repos`;
  const woodpeckerHeaders = { authorization: `Bearer ${variable("WOODPECKER_TOKEN")}` };
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
  const comment = (kind: "ROLE" | "DATABASE") =>
    mark ? sql(`COMMENT ON ${kind} ${role} IS '${mark}'`) : undefined;
  const repository = () =>
    json<{ id: number }>(`${gitea}/repos/${organization}/${slug}`, giteaHeaders);
  const inCi = () =>
    json<{ id: number }>(`${woodpecker}/lookup/${organization}/${slug}`, woodpeckerHeaders);
  const tenants = () =>
    json<{ tenants: { id: string }[] }>(`${citadel}?slug=${slug}`, citadelHeaders);

  return {
    repository: {
      make: () =>
        json(`${gitea}/orgs/${organization}/repos`, giteaHeaders, {
          method: "POST",
          status: 201,
          body: { name: slug, description: mark ? `mine (${mark})` : "mine", auto_init: true },
        }),
      look: repository,
      remove: () =>
        json(`${gitea}/repos/${organization}/${slug}`, giteaHeaders, {
          method: "DELETE",
          status: 204,
        }),
    },
    /** Belongs to the repository, which must exist. */
    ci: {
      make: async () =>
        json(`${woodpecker}?forge_remote_id=${(await repository()).id}`, woodpeckerHeaders, {
          method: "POST",
        }),
      look: inCi,
      remove: async () =>
        json(`${woodpecker}/${(await inCi()).id}?remove=true`, woodpeckerHeaders, {
          method: "DELETE",
        }),
    },
    record: {
      make: () =>
        changeRecord({
          ...rrset,
          changetype: "REPLACE",
          ttl: 60,
          records: [{ content: "198.51.100.7", disabled: false }],
          ...(mark && { comments: [{ content: mark, account: "" }] }),
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
        await comment("ROLE");
        await sql(`CREATE DATABASE ${role} OWNER ${role}`);
        await comment("DATABASE");
      },
      look: () =>
        sql(
          `SELECT a.*, d.*, shobj_description(a.oid, 'pg_authid') AS comment
           FROM pg_authid a JOIN pg_database d ON d.datdba = a.oid WHERE rolname = '${role}'`,
        ),
      remove: async () => {
        await sql(`DROP DATABASE IF EXISTS ${role}`);
        const [found] = await sql(`SELECT 1 FROM pg_roles WHERE rolname = '${role}'`);
        // Projects that came up meanwhile granted the role CONNECT on the server's own databases.
        if (found) await sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      },
    },
    cache: {
      make: async () => {
        await redis("ACL", "SETUSER", slug, "on", ">mine", "~mine:*", "+get");
        if (mark) await redis("HSET", "rdev-infra:owners", slug, mark);
      },
      look: () => redis("ACL", "GETUSER", slug),
      remove: async () => {
        await redis("ACL", "DELUSER", slug);
        await redis("HDEL", "rdev-infra:owners", slug);
      },
    },
    namespace: {
      make: () =>
        core.createNamespace({
          body: {
            metadata: {
              name: slug,
              ...(owner && { labels: { ...markLabels(owner) } }),
            },
          },
        }),
      look: async () => (await core.readNamespace({ name: slug })).metadata?.uid,
      remove: () => core.deleteNamespace({ name: slug }),
    },
    images: {
      make: async () => {
        await registry.pushEmpty(slug, "1", "application/vnd.example.image", { made: "by hand" });
        if (!owner) return;
        const type = "application/vnd.example.mark";
        await registry.pushEmpty(markPath(slug), MARK, type, markOf(owner));
      },
      look: async () => [await registry.tags(slug), await registry.digest(slug, "1")],
      remove: async () => {
        for (const path of [slug, markPath(slug)]) {
          for (const tag of await registry.tags(path)) {
            const digest = await registry.digest(path, tag);
            if (digest) await registry.deleteManifest(path, digest);
          }
        }
      },
    },
    tenant: {
      make: () =>
        json(citadel, citadelHeaders, {
          method: "POST",
          status: 201,
          body: {
            slug,
            name: "mine",
            organization: "orchard9",
            ...(owner && { metadata: markOf(owner) }),
          },
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

function sql(statement: string): Promise<unknown[]> {
  return queryOnce(variable("POSTGRES_ADMIN_URL"), statement);
}

async function redis(...words: [string, ...string[]]): Promise<unknown> {
  const client = new Redis(variable("REDIS_ADMIN_URL"));
  return client.call(...words).finally(() => client.disconnect());
}
