import assert from "node:assert/strict";
import { connection, connections, connectionSecrets } from "../../core/connections.ts";
import { thrown } from "../support/errors.ts";

const GITEA = { GITEA_URL: "https://git.example.com/", GITEA_TOKEN: "token-of-gitea" };

describe("connections", () => {
  it("are read from variables, without a trailing slash, and frozen", () => {
    const gitea = connection("gitea", GITEA);
    assert.deepEqual(gitea, { url: "https://git.example.com", token: "token-of-gitea" });
    assert.ok(Object.isFrozen(gitea));
  });

  it("name every missing, empty or malformed variable in one error, but no value", () => {
    const error = thrown("RDEV_CONNECTION", () =>
      connections(["gitea", "woodpecker", "dns", "registry", "postgres", "citadel"], {
        GITEA_URL: "ftp://user:planted@git",
        GITEA_TOKEN: "planted\nsecond line",
        WOODPECKER_URL: "https://ci",
        WOODPECKER_TOKEN: "",
        DNS_PROVIDER: "bind",
        REGISTRY_URL: "https://registry",
        REGISTRY_USERNAME: "ci",
        POSTGRES_ADMIN_URL: "mysql://planted",
        CITADEL_URL: "https://citadel",
        CITADEL_API_KEY: "planted",
        CITADEL_TENANT_ID: "planted",
      }),
    );
    for (const line of [
      "GITEA_URL is not a URL that begins with http:// or https://",
      "GITEA_TOKEN contains white space, a line break or a character outside ASCII",
      "WOODPECKER_TOKEN is empty",
      'DNS_PROVIDER is neither "powerdns" nor "cloudflare"',
      "REGISTRY_PASSWORD is missing",
      "POSTGRES_ADMIN_URL is not a URL that begins with postgres:// or postgresql://",
      "CITADEL_API_KEY does not begin with ck_",
      "CITADEL_TENANT_ID is not a UUID",
    ]) {
      assert.ok(error.message.includes(line), `${line} in ${error.message}`);
    }
    assert.ok(!error.message.includes("planted"), error.message);
  });

  it("need no variables of other systems", () => {
    assert.deepEqual(Object.keys(connections(["gitea"], GITEA)), ["gitea"]);
  });

  it("support both DNS systems", () => {
    assert.deepEqual(
      connection("dns", { DNS_PROVIDER: "cloudflare", CLOUDFLARE_API_TOKEN: "t0ken" }),
      {
        provider: "cloudflare",
        url: "https://api.cloudflare.com/client/v4",
        token: "t0ken",
      },
    );
    const powerdns = { POWERDNS_URL: "http://dns:8081", POWERDNS_API_KEY: "key" };
    assert.deepEqual(connection("dns", { DNS_PROVIDER: "powerdns", ...powerdns }), {
      provider: "powerdns",
      url: "http://dns:8081",
      token: "key",
      serverId: "localhost",
    });
  });

  it("include Citadel unless it is switched off", () => {
    assert.equal(connection("citadelEnabled", {}).enabled, true);
    assert.equal(connection("citadelEnabled", { CITADEL_ENABLED: "false" }).enabled, false);
    thrown("RDEV_CONNECTION", () => connection("citadelEnabled", { CITADEL_ENABLED: "no" }));
  });

  it("use the management key for the agent if there is no other, and report it", () => {
    const one = { CITADEL_URL: "https://c", CITADEL_API_KEY: "ck_live_a" };
    assert.equal(connection("citadel", one).agentKey, "ck_live_a");
    assert.equal(connection("citadel", one).hasAgentKey, false);
    const two = { ...one, CITADEL_AGENT_KEY: "ck_live_b" };
    assert.equal(connection("citadel", two).agentKey, "ck_live_b");
    assert.equal(connection("citadel", two).hasAgentKey, true);
  });

  const registry = {
    REGISTRY_URL: "https://registry",
    REGISTRY_USERNAME: "admin",
    REGISTRY_PASSWORD: "planted-admin",
  };

  it("refuse half of an account for pipelines, and name both variables", () => {
    for (const half of [
      { REGISTRY_CI_USERNAME: "ci" },
      { REGISTRY_CI_PASSWORD: "planted-ci" },
      { REGISTRY_CI_USERNAME: "ci", REGISTRY_CI_PASWORD: "planted-ci" },
    ]) {
      const { message } = thrown("RDEV_CONNECTION", () =>
        connection("registry", { ...registry, ...half }),
      );
      assert.match(message, /REGISTRY_CI_USERNAME and REGISTRY_CI_PASSWORD/);
      assert.doesNotMatch(message, /planted/);
    }
  });

  it("refuse unknown variables of the pipelines' account, except those that Kubernetes sets", () => {
    const misspelt = { REGISTRY_CI_USER: "ci", REGISTRY_CI_PASS: "planted-ci" };
    const { message } = thrown("RDEV_CONNECTION", () =>
      connection("registry", { ...registry, ...misspelt, REGISTRY_PASSWORD: undefined }),
    );
    for (const part of ["REGISTRY_CI_USER is unknown", "REGISTRY_CI_PASS is unknown"]) {
      assert.ok(message.includes(part), message);
    }
    assert.ok(message.includes("REGISTRY_PASSWORD is missing"), message);
    assert.doesNotMatch(message, /planted/);
    const service = { REGISTRY_CI_SERVICE_HOST: "10.0.0.1", REGISTRY_CI_PORT: "tcp://10.0.0.1:80" };
    assert.equal(connection("registry", { ...registry, ...service }).hasSharedAccount, false);
  });

  it("read the key for the registry's tokens from a variable or a file, but not both", () => {
    const tokens = { ...registry, REGISTRY_TOKEN_SECRET: "s".repeat(32) };
    const file = { REGISTRY_TOKEN_KEY_FILE: "/run/key.pem" };
    assert.equal(connection("registryTokens", { ...tokens, ...file }).keyFile, "/run/key.pem");
    const both = { ...file, REGISTRY_TOKEN_KEY: "planted\nlines" };
    for (const wrong of [tokens, { ...tokens, ...both }]) {
      const { message } = thrown("RDEV_CONNECTION", () => connection("registryTokens", wrong));
      assert.match(message, /REGISTRY_TOKEN_KEY and REGISTRY_TOKEN_KEY_FILE are both/);
      assert.doesNotMatch(message, /planted/);
    }
  });

  it("refuse a short secret for the registry's accounts", () => {
    const short = { ...registry, REGISTRY_TOKEN_SECRET: "planted" };
    const { message } = thrown("RDEV_CONNECTION", () => connection("registry", short));
    assert.match(message, /REGISTRY_TOKEN_SECRET is shorter than 32 characters/);
    assert.doesNotMatch(message, /planted/);
  });

  it("list their secrets, including those in URLs", () => {
    assert.deepEqual(
      connectionSecrets({
        GITEA_TOKEN: "one",
        POSTGRES_ADMIN_URL: "postgres://admin:t%40wo@db/postgres",
        PULUMI_CONFIG_PASSPHRASE: "three",
        AWS_ACCESS_KEY_ID: "four",
        AWS_SECRET_ACCESS_KEY: "five",
        VAULT_SERVER_TOKEN: "six",
        HOME: "/home/user",
      }),
      ["one", "t%40wo", "t@wo", "three", "four", "five", "six"],
    );
  });
});
