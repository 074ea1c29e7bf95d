import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { Redis } from "ioredis";
import { findLeftovers, probedSystems } from "../../automation/leftovers.ts";
import { databaseName } from "../../core/slug.ts";
import type { PlatformSettings } from "../../core/settings.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import { Gitea } from "../../providers/gitea/client.ts";
import { Postgres } from "../../providers/postgres/client.ts";
import { startCitadel } from "../../sandbox/citadel/server.ts";
import { sandboxPlatform } from "../../sandbox/platform.ts";
import { madeByHand } from "../support/by-hand.ts";
import { writeKubeconfig } from "../support/kubeconfig.ts";
import { runningSandbox } from "../support/sandbox.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { variable, withVariables } from "../support/variables.ts";
import { type Owner, ownerBefore, retainedMarkText } from "../../core/ownership.ts";
import { testOwner } from "../support/owner.ts";

describe("leftovers", function () {
  this.timeout(400_000);

  let settings: PlatformSettings;
  let slug: string;
  let undo: (() => Promise<unknown>)[];

  before(async () => {
    settings = await sandboxPlatform();
    // The platform's stack creates it. Without it nothing proves which environments the key sees.
    await new Citadel().groups.put("projects");
  });
  beforeEach(() => {
    slug = uniqueSlug();
    undo = [];
  });
  afterEach(async () => {
    for (const remove of undo.reverse()) await remove();
  });

  const of = (options = {}) =>
    findLeftovers({ slug, owner: testOwner(slug), settings, ...options });

  /** Creates one object on every system, and registers its removal. */
  async function byHand(owner?: Owner) {
    const { env, dns } = runningSandbox();
    const { domain, gitOrganization: organization } = settings;
    const all = madeByHand({ slug, place: { slug, organization, domain, dns, env } }, owner);
    for (const { make, remove } of Object.values(all)) {
      await make();
      undo.push(remove);
    }
    return all;
  }

  async function redis(...words: [string, ...string[]]): Promise<unknown> {
    const client = new Redis(variable("REDIS_ADMIN_URL"));
    return client.call(...words).finally(() => client.disconnect());
  }

  it("are empty for a project that never existed", async () => {
    assert.deepEqual(await of(), []);
  });

  it("are found on every system, with a name that a person can search for", async () => {
    const { tenant, ci } = await byHand(testOwner(slug));
    await redis("SET", `${slug}:key`, "1");
    undo.push(() => redis("DEL", `${slug}:key`));
    const name = `${settings.gitOrganization}/${slug}`;
    const found = await of();
    assert.deepEqual(
      found.map(({ system, what, why }) => `${system}: ${what}: ${why}`),
      [
        `gitea: repository ${name}: left`,
        `woodpecker: repository ${name} (number ${(await ci.look()).id}): left`,
        `dns: record ${slug}.${settings.domain} A 198.51.100.7: left`,
        `registry: path ${slug}, with the tags 1: left`,
        `postgres: role ${databaseName(slug)}: left`,
        `postgres: database ${databaseName(slug)}: left`,
        `redis: user ${slug}: left`,
        `redis: keys ${slug}:*: left`,
        `kubernetes: namespace ${slug}: left`,
        `citadel: environment ${await tenant.id()}: left`,
      ],
    );
    assert.deepEqual([...new Set(found.map(({ system }) => system))], probedSystems());
  });

  it("are reported as left alone if they have no mark or another owner's", async () => {
    const others: readonly (() => Owner | undefined)[] = [
      () => undefined,
      () => testOwner(uniqueSlug()),
      () => ({ ...testOwner(slug), platform: "prod" }),
      () => ({ ...testOwner(slug), stack: "f".repeat(16) }),
      () => ownerBefore(slug),
    ];
    for (const other of others) {
      await byHand(other());
      await redis("SET", `${slug}:key`, "theirs");
      undo.push(() => redis("DEL", `${slug}:key`));
      const found = await of();
      assert.deepEqual([...new Set(found.map(({ system }) => system))], probedSystems());
      assert.deepEqual(new Set(found.map(({ why }) => why)), new Set(["not-ours"]));
      for (const remove of undo.splice(0).reverse()) await remove();
      slug = uniqueSlug();
    }
  });

  it("include Woodpecker's repository after Gitea's is gone", async () => {
    const { repository, ci } = await byHand(testOwner(slug));
    const { id } = await ci.look();
    await repository.remove();
    undo.splice(undo.indexOf(repository.remove), 1);
    assert.deepEqual(
      (await of()).filter(({ system }) => system === "gitea" || system === "woodpecker"),
      [
        {
          system: "woodpecker",
          what: `repository ${settings.gitOrganization}/${slug} (number ${id})`,
          why: "left",
        },
      ],
    );
  });

  it("are only keys if their user is gone", async () => {
    await redis("SET", `${slug}:key`, "1");
    undo.push(() => redis("DEL", `${slug}:key`));
    assert.deepEqual(await of(), [{ system: "redis", what: `keys ${slug}:*`, why: "left" }]);
  });

  it("are unreachable, never empty, if a system is down or refuses the credentials", async () => {
    const nowhere = "127.0.0.1:1";
    const system = (names: readonly string[], value: string) =>
      Object.fromEntries(names.map((name) => [name, value]));
    const http = ["GITEA_URL", "WOODPECKER_URL", "POWERDNS_URL", "REGISTRY_URL", "CITADEL_URL"];
    const down = {
      ...system(http, `http://${nowhere}`),
      POSTGRES_ADMIN_URL: `postgres://admin:secret-4711@${nowhere}/postgres`,
      REDIS_ADMIN_URL: `redis://admin:secret-4711@${nowhere}`,
      KUBECONFIG: await writeKubeconfig({ server: `https://${nowhere}` }),
    };
    const wrong = {
      GITEA_TOKEN: "secret-4711",
      WOODPECKER_TOKEN: "secret-4711",
      POWERDNS_API_KEY: "secret-4711",
      REGISTRY_PASSWORD: "secret-4711",
      POSTGRES_ADMIN_URL: withPassword("POSTGRES_ADMIN_URL"),
      REDIS_ADMIN_URL: withPassword("REDIS_ADMIN_URL"),
      KUBECONFIG: await writeKubeconfig({ token: "secret-4711" }),
      CITADEL_API_KEY: "ck_secret-4711",
    };
    for (const [variables, reason] of [
      [down, /\(RDEV_UNREACHABLE: .*127\.0\.0\.1:1/],
      [wrong, /\(RDEV_UNAUTHORIZED: /],
      [{ ...wrong, GITEA_URL: undefined }, /\(RDEV_(UNAUTHORIZED|CONNECTION: .*GITEA_URL is m)/],
    ] as const) {
      const found = await withVariables(variables, () => of());
      assert.deepEqual(
        found.map(({ system: name, why }) => [name, why]),
        probedSystems().map((name) => [name, "unreachable"]),
      );
      for (const { what } of found) assert.match(what, reason);
      assert.ok(!JSON.stringify(found).includes("secret-4711"), "a secret is in what was told");
    }
  });

  it("are never empty in Citadel if the key belongs to another organization", async () => {
    const elsewhere = await startCitadel({ organization: "acme" });
    try {
      const variables = { CITADEL_URL: elsewhere.url, CITADEL_API_KEY: elsewhere.apiKey };
      const found = await withVariables(variables, () => of());
      assert.deepEqual(
        found.map(({ system, why }) => [system, why]),
        [["citadel", "unreachable"]],
      );
      assert.match(found[0]?.what ?? "", /\(RDEV_FORBIDDEN: .* no environment of the organization/);
    } finally {
      await elsewhere.close();
    }
  });

  it("are reported for the other systems if one never answers", async () => {
    await byHand(testOwner(slug));
    const silent = await listenSilently();
    undo.push(() => new Promise((resolve) => silent.server.close(resolve)));
    const begin = performance.now();
    const found = await withVariables(
      {
        GITEA_URL: `http://${silent.address}`,
        POSTGRES_ADMIN_URL: `postgres://admin@${silent.address}/postgres`,
        REDIS_ADMIN_URL: `redis://admin:secret-4711@${silent.address}`,
      },
      () => findLeftovers({ slug, owner: testOwner(slug), settings }, { deadline: 2_000 }),
    );
    assert.ok(performance.now() - begin < 4_000, "it waited for a system that does not answer");
    const why = Object.fromEntries(found.map((each) => [each.system, each.why]));
    assert.deepEqual(why, {
      gitea: "unreachable",
      woodpecker: "unreachable", // Gitea decides whose it is
      dns: "left",
      registry: "left",
      postgres: "unreachable",
      redis: "unreachable",
      kubernetes: "left",
      citadel: "left",
    });
    assert.match(found[0]?.what ?? "", /^repository \S+ \(RDEV_DEADLINE: .* within 2 s\.\)$/);
  });

  it("are retained only if that was requested and done", async () => {
    await byHand(testOwner(slug));
    const keep = { retainData: true, retainRepository: true };
    const kept = async () => (await of(keep)).filter(({ why }) => why === "retained");
    assert.deepEqual(await kept(), []);
    await new Gitea().editRepository(settings.gitOrganization, slug, { archived: true });
    const postgres = await Postgres.connect();
    await postgres
      .lockOut(databaseName(slug), retainedMarkText(testOwner(slug)))
      .finally(() => postgres.close());
    assert.deepEqual(
      (await kept()).map(({ system, what }) => `${system}: ${what}`),
      [
        `gitea: repository ${settings.gitOrganization}/${slug}, archived`,
        `postgres: role ${databaseName(slug)}`,
        `postgres: database ${databaseName(slug)}`,
      ],
    );
    assert.deepEqual(
      (await of()).filter(({ why }) => why === "retained"),
      [],
    );
  });

  it("do not include Citadel if it is switched off", async () => {
    const off = { CITADEL_ENABLED: "false", CITADEL_URL: undefined, CITADEL_API_KEY: undefined };
    assert.deepEqual(await withVariables(off, () => of()), []);
  });
});

function withPassword(name: string): string {
  const url = new URL(variable(name));
  url.password = "secret-4711";
  return url.href;
}

async function listenSilently(): Promise<{ server: Server; address: string }> {
  const server = createServer((socket) => socket.on("error", () => undefined).resume());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address && typeof address === "object");
  return { server: server.unref(), address: `127.0.0.1:${address.port}` };
}
