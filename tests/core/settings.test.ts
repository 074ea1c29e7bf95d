import assert from "node:assert/strict";
import {
  completeProjectSettings,
  parsePlatformConfig,
  parsePlatformSettings,
  parseProjectConfig,
} from "../../core/settings.ts";
import { thrown } from "../support/errors.ts";
import { PLATFORM } from "../support/platform.ts";

describe("settings", () => {
  it("of a platform have defaults", () => {
    const settings = parsePlatformConfig(PLATFORM);
    assert.equal(settings.dnsTtl, 300);
    assert.equal(settings.sizes.replicas, 1);
    assert.equal(settings.ingressClass, "traefik");
  });

  it("of a platform are the same after a round trip through a stack's output", () => {
    const settings = parsePlatformConfig(PLATFORM);
    assert.deepEqual(
      parsePlatformSettings(JSON.parse(JSON.stringify(settings)) as Record<string, unknown>),
      settings,
    );
  });

  it("read numbers, lists and maps from JSON in the config", () => {
    const workloads = [{ kind: "Deployment", namespace: "rdev", name: "rdev-api" }];
    const settings = parsePlatformConfig({
      ...PLATFORM,
      dnsTtl: "60",
      workloads: JSON.stringify(workloads),
      sizes: '{"replicas":2}',
    });
    assert.equal(settings.dnsTtl, 60);
    assert.deepEqual(settings.workloads, workloads);
    assert.equal(settings.sizes.replicas, 2);
    assert.equal(settings.sizes.cpuLimit, "500m");
  });

  it("of the agent list every mistake, and accept those of an older version", () => {
    const agent = {
      bufferMiB: 64,
      tenantMiB: 4,
      containerLinesPerSecond: 0,
      containerKiBPerSecond: -1,
      useManagementKey: "yes",
    };
    const error = thrown("RDEV_SETTINGS", () =>
      parsePlatformConfig({ ...PLATFORM, agent: JSON.stringify(agent) }),
    );
    for (const name of Object.keys(agent).slice(1)) {
      assert.match(error.message, new RegExp(`rdev:agent\\.${name}: .*instead got `));
    }
    const tooLarge = JSON.stringify({ bufferMiB: 64, tenantMiB: 33 });
    assert.match(
      thrown("RDEV_SETTINGS", () => parsePlatformConfig({ ...PLATFORM, agent: tooLarge })).message,
      /rdev:agent\.tenantMiB: is more than half of agent\.bufferMiB.*instead got 33/,
    );
    const before = parsePlatformConfig({ ...PLATFORM, agent: '{"bufferMiB":2048}' }).agent;
    assert.equal(before.containerLinesPerSecond, 2000);
    assert.equal(before.useManagementKey, false);
  });

  it("keep a name that looks like a number", () => {
    assert.equal(parseProjectConfig({ name: "2048" }).name, "2048");
  });

  it("of a project have no defaults until they are completed", () => {
    assert.deepEqual(parseProjectConfig({ retainData: "true" }), { retainData: true });
    assert.deepEqual(completeProjectSettings({ retainData: true }), {
      template: "skeleton",
      sizes: {},
      retainData: true,
      retainRepository: false,
      stopped: false,
      expiresAt: "never",
      labels: {},
    });
  });

  it("of a project accept an end of its time to live in any zone, or never", () => {
    for (const expiresAt of ["2026-12-24T18:00:00Z", "2026-12-24T18:00:00.5+02:00", "never"]) {
      assert.deepEqual(parseProjectConfig({ expiresAt }), { expiresAt });
    }
    for (const wrong of ["2026-12-24", "tomorrow", "2026-12-24T18:00:00", "12"]) {
      assert.throws(() => parseProjectConfig({ expiresAt: wrong }), {
        message: /rdev:expiresAt: is neither a time such as 2026-12-24T18:00:00Z nor "never"/,
      });
    }
  });

  it("list every mistake with its value in one error", () => {
    const { domain: _, ...rest } = PLATFORM;
    const error = thrown("RDEV_SETTINGS", () =>
      parsePlatformConfig({ ...rest, dnsTtl: "soon", ingressAddress: "not an address", typo: "x" }),
    );
    for (const line of [
      "rdev:domain is missing",
      "rdev:dnsTtl: ",
      'instead got "soon"',
      'rdev:ingressAddress: is neither an IP address nor a DNS name, instead got "not an address"',
      "rdev:typo is not a setting",
    ]) {
      assert.ok(error.message.includes(line), `${line} in ${error.message}`);
    }
  });

  it("refuse the name of a property that every object has", () => {
    const { message } = thrown("RDEV_SETTINGS", () => parseProjectConfig({ constructor: "1" }));
    assert.match(message, /rdev:constructor is not a setting/);
  });

  it("forbid scripts and INFO on Redis by default", () => {
    assert.deepEqual(parsePlatformConfig(PLATFORM).cache, { scripts: false, info: false });
    const { cache } = parsePlatformConfig({ ...PLATFORM, cache: '{"scripts":true}' });
    assert.deepEqual(cache, { scripts: true, info: false });
  });

  it("accept addresses of PostgreSQL and Redis inside the cluster", () => {
    const settings = parsePlatformConfig({
      ...PLATFORM,
      databaseAddress: '{"host":"postgres.data.svc","sslmode":"verify-full"}',
      cacheAddress: '{"host":"2001:db8::1","port":6380,"tls":true}',
    });
    const { databaseAddress, cacheAddress } = settings;
    assert.deepEqual(databaseAddress, {
      host: "postgres.data.svc",
      port: 5432,
      sslmode: "verify-full",
    });
    assert.deepEqual(cacheAddress, { host: "2001:db8::1", port: 6380, tls: true });
  });

  it("accept one source of certificates", () => {
    for (const tls of [{ clusterIssuer: "letsencrypt" }, { secret: "wildcard.example" }]) {
      assert.deepEqual(parsePlatformConfig({ ...PLATFORM, tls: JSON.stringify(tls) }).tls, tls);
    }
    assert.equal(parsePlatformConfig(PLATFORM).tls, undefined);
  });

  it("list every mistake in the source of certificates", () => {
    const refusal = (tls: object) =>
      thrown("RDEV_SETTINGS", () =>
        parsePlatformConfig({ ...PLATFORM, tls: JSON.stringify(tls), dnsTtl: "soon" }),
      ).message;
    const wrong = refusal({ clusterIssuer: "Let's Encrypt", secret: "a/b", issuer: "x" });
    for (const line of [
      "rdev:tls.clusterIssuer: is not a name of a Kubernetes object, instead got",
      "rdev:tls.secret: is not a name of a Kubernetes object, instead got",
      "rdev:tls.issuer is not a setting",
      "rdev:tls: must name either a clusterIssuer or a secret, instead got",
      "rdev:dnsTtl: ",
    ]) {
      assert.ok(wrong.includes(line), `${line} in ${wrong}`);
    }
    assert.match(refusal({}), /rdev:tls: must name either a clusterIssuer or a secret/);
  });

  it("list every mistake in an address", () => {
    const error = thrown("RDEV_SETTINGS", () =>
      parsePlatformConfig({
        ...PLATFORM,
        databaseAddress: '{"host":"user@db:5432","port":70000,"sslmode":"maybe"}',
        cacheAddress: '{"port":6379}',
        cache: '{"scripts":"yes","functions":true}',
      }),
    );
    for (const line of [
      'rdev:databaseAddress.host: is neither an IP address nor a lower-case DNS name, instead got "user@db:5432"',
      "rdev:databaseAddress.port: ",
      "rdev:databaseAddress.sslmode: is not one of disable, allow, prefer, require, verify-ca, verify-full",
      "rdev:cacheAddress.host is missing",
      "rdev:cache.scripts: ",
      "rdev:cache.functions is not a setting",
    ]) {
      assert.ok(error.message.includes(line), `${line} in ${error.message}`);
    }
  });

  it("of a project override sizes one by one, within limits", () => {
    assert.deepEqual(parseProjectConfig({ sizes: '{"replicas":3}' }).sizes, { replicas: 3 });
    thrown("RDEV_SETTINGS", () => parseProjectConfig({ sizes: '{"replicas":300}' }));
    thrown("RDEV_SETTINGS", () => parseProjectConfig({ template: "../etc" }));
  });
});
