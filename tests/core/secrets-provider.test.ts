import assert from "node:assert/strict";
import { InfraError } from "../../core/errors.ts";
import {
  fieldsOfSecrets,
  parseSecretsProvider,
  secretsOfFile,
  secretsOfState,
} from "../../core/secrets-provider.ts";

describe("a secrets provider", () => {
  it("is a passphrase, or the URL of a key that Pulumi can use", () => {
    for (const text of [
      "passphrase",
      "hashivault://rdev",
      "awskms://alias/rdev?region=eu-central-1",
      "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
      "azurekeyvault://vault.vault.azure.net/keys/rdev",
    ]) {
      assert.equal(parseSecretsProvider(text), text);
    }
    for (const text of [
      "",
      "default",
      "hashivault://",
      "hashivault:rdev",
      "vault://x",
      "awskms://a b",
    ]) {
      assert.throws(
        () => parseSecretsProvider(text),
        (error) => error instanceof InfraError && error.code === "RDEV_SETTINGS",
        text,
      );
    }
  });

  it("is read from a stack's state and its file alike", () => {
    const salt = { provider: "passphrase", opener: "v1:salt" };
    assert.deepEqual(secretsOfState({ type: "passphrase", state: { salt: "v1:salt" } }), salt);
    assert.deepEqual(secretsOfFile({ encryptionsalt: "v1:salt", config: {} }), salt);
    const key = { provider: "hashivault://rdev", opener: "a2V5" };
    const state = { url: "hashivault://rdev", encryptedkey: "a2V5" };
    assert.deepEqual(secretsOfState({ type: "cloud", state }), key);
    const file = { secretsprovider: "hashivault://rdev", encryptedkey: "a2V5" };
    assert.deepEqual(secretsOfFile(file), key);
    for (const secrets of [salt, key]) {
      assert.deepEqual(secretsOfFile(fieldsOfSecrets(secrets)), secrets);
    }
    assert.deepEqual(secretsOfFile({ secretsprovider: "hashivault://rdev" }), {
      provider: "hashivault://rdev",
      opener: "",
    });
  });

  it("is unknown where neither says anything about it", () => {
    assert.equal(secretsOfState(undefined), undefined);
    assert.equal(secretsOfState({ type: "service", state: { url: "https://x" } }), undefined);
    for (const content of [null, {}, { config: {} }, "text"]) {
      assert.equal(secretsOfFile(content), undefined);
    }
  });
});
