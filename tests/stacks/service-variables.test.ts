import assert from "node:assert/strict";
import { parse } from "yaml";
import { parseIdentitySettings } from "../../automation/identity/settings.ts";
import {
  IDENTITY,
  podOf,
  RECEIVERS,
  run,
  SERVICE,
  VARIABLES,
  WEBHOOK_SECRET,
} from "../support/service-program.ts";

describe("the variables and settings of the service in the platform's stack", () => {
  it("gets its variables as a Secret, with the addresses that pods need", async () => {
    const { one, all } = await run({ ...SERVICE, identity: IDENTITY });
    const secret = one("kubernetes:core/v1:Secret", "control-plane-variables");
    assert.deepEqual(secret.secrets, ["stringData"]);
    const variables = secret.inputs["stringData"] as Record<string, string>;
    assert.equal(variables["POSTGRES_ADMIN_URL"], "postgres://admin:planted-postgres@db/postgres");
    assert.equal(variables["PULUMI_CONFIG_PASSPHRASE"], "planted-passphrase");
    for (const name of ["DATABASE_OWNER_URL", "GITEA_COMMENT_TOKEN", "KUBECONFIG"]) {
      assert.ok(!(name in variables), name);
    }
    const [container] = podOf(one("kubernetes:apps/v1:Deployment")).containers;
    const { metadata } = secret.inputs as { metadata: { name?: string } };
    assert.equal(metadata.name, undefined, "a changed value must make a new Secret");
    assert.match(String(container.envFrom[0]?.secretRef.name), /^control-plane-variables/);
    // No secret outside of Secrets.
    const others = all.filter(({ type }) => !type.endsWith(":Secret"));
    assert.doesNotMatch(JSON.stringify(others), /planted-/);
  });

  it("reads the settings of people from a ConfigMap, as they were written", async () => {
    const { one } = await run({ ...SERVICE, identity: IDENTITY });
    const { data, immutable } = one("kubernetes:core/v1:ConfigMap", "control-plane-settings")
      .inputs as { data: Record<string, string>; immutable: boolean };
    assert.equal(immutable, true);
    const text = data["identity.yaml"] ?? "";
    assert.deepEqual(parse(text), IDENTITY);
    const secrets = { file: "identity.yaml", sessionKey: "k".repeat(32) };
    assert.equal(parseIdentitySettings(text, secrets).people?.clientId, "client");
    const env = podOf(one("kubernetes:apps/v1:Deployment")).containers[0].env ?? [];
    const file = env.find(({ name }) => name === "RDEV_INFRA_IDENTITY_FILE");
    assert.equal(file?.value, "/etc/rdev-infra/identity.yaml");
  });

  it("reads the receivers of notifications from a file, and their secrets from the Secret", async () => {
    const variables = { RDEV_INFRA_WEBHOOK_SECRETS: JSON.stringify({ ops: WEBHOOK_SECRET }) };
    const { one, all } = await run({ ...SERVICE, notifications: RECEIVERS }, variables);
    const { data } = one("kubernetes:core/v1:ConfigMap", "control-plane-settings").inputs as {
      data: Record<string, string>;
    };
    assert.deepEqual(Object.keys(data), ["notifications.yaml"]);
    assert.deepEqual(parse(data["notifications.yaml"] ?? ""), RECEIVERS);
    const env = podOf(one("kubernetes:apps/v1:Deployment")).containers[0].env ?? [];
    const file = env.find(({ name }) => name === "RDEV_INFRA_NOTIFICATIONS_FILE");
    assert.equal(file?.value, "/etc/rdev-infra/notifications.yaml");
    const others = all.filter(({ type }) => !type.endsWith(":Secret"));
    assert.ok(!JSON.stringify(others).includes(WEBHOOK_SECRET));
  });

  it("needs no passphrase if a key encrypts the states, and gets what the key needs", async () => {
    const { one } = await run(SERVICE, {
      PULUMI_CONFIG_PASSPHRASE: undefined,
      VAULT_SERVER_URL: "https://bao.test",
      VAULT_SERVER_TOKEN: "planted-bao",
    });
    const secret = one("kubernetes:core/v1:Secret", "control-plane-variables");
    const variables = secret.inputs["stringData"] as Record<string, string>;
    assert.equal(variables["VAULT_SERVER_TOKEN"], "planted-bao");
    assert.ok(!("PULUMI_CONFIG_PASSPHRASE" in variables));
  });

  it("names every variable that is missing, or that a pod cannot use, at once", async () => {
    const more = {
      GITEA_URL: undefined,
      GITEA_TOKEN: undefined,
      GITEA_TEMPLATE_TOKEN: "planted-template token",
      DATABASE_URL: VARIABLES.DATABASE_OWNER_URL,
      PULUMI_BACKEND_URL: "file:///states",
      PULUMI_CONFIG_PASSPHRASE: undefined,
      PULUMI_CONFIG_PASSPHRASE_FILE: "/home/me/passphrase",
      REGISTRY_TOKEN_KEY_FILE: "/home/me/token-key.pem",
      REGISTRY_TOKEN_SECRET: "s".repeat(32),
      RDEV_INFRA_SESSION_KEY: undefined,
      RDEV_INFRA_PULL_USERNAME: "puller",
      RDEV_INFRA_WEBHOOK_SECRETS: JSON.stringify({ other: WEBHOOK_SECRET }),
    };
    const mails = [{ name: "team", to: ["ada@example.test"] }];
    const notifications = { ...RECEIVERS, mails, from: "rdev@example.test" };
    const service = { ...SERVICE, identity: IDENTITY, notifications };
    await assert.rejects(run(service, more), (error: Error) => {
      for (const name of [
        "RDEV_CONNECTION",
        "GITEA_TOKEN is missing",
        "GITEA_TEMPLATE_TOKEN contains white space",
        "DATABASE_OWNER_URL is the same",
        "PULUMI_BACKEND_URL",
        "PULUMI_CONFIG_PASSPHRASE",
        "REGISTRY_TOKEN_KEY_FILE",
        "RDEV_INFRA_SESSION_KEY",
        "RDEV_INFRA_PULL_USERNAME and RDEV_INFRA_PULL_PASSWORD belong to one account",
        'webhooks: "ops" has no secret in RDEV_INFRA_WEBHOOK_SECRETS',
        'no webhook has the name "other"',
        "mails: needs the variable SMTP_URL",
      ]) {
        assert.ok(error.message.includes(name), `${name}: ${error.message}`);
      }
      assert.equal(error.message.split("GITEA_URL is missing").length, 2, "it is named once");
      assert.doesNotMatch(error.message, /planted-/);
      assert.ok(!error.message.includes(WEBHOOK_SECRET));
      return true;
    });
  });
});
