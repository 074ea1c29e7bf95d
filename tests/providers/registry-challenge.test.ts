import assert from "node:assert/strict";
import { challengeOf } from "../../providers/registry/authorization.ts";
import { thrown } from "../support/errors.ts";

const URL_WITH_TLS = "https://registry.example.com";

describe("a registry's challenge", () => {
  it("names the token service and what it is asked for", () => {
    const header = 'Bearer realm="https://auth.example.com/token?a=1",service="registry"';
    const { realm, service } = challengeOf(header, URL_WITH_TLS) ?? assert.fail();
    assert.equal(realm.href, "https://auth.example.com/token?a=1");
    assert.equal(service, "registry");
  });

  it("for basic authentication names no token service", () => {
    assert.equal(challengeOf('Basic realm="registry"', URL_WITH_TLS), undefined);
    assert.equal(challengeOf(undefined, URL_WITH_TLS), undefined);
    assert.equal(challengeOf('Bearer realm="file:///token"', URL_WITH_TLS), undefined);
  });

  it("is refused if the account would leave TLS", () => {
    const header = 'Bearer realm="http://auth.example.com/token",service="registry"';
    const { message } = thrown("RDEV_CONTRACT", () => challengeOf(header, URL_WITH_TLS));
    assert.match(message, /names a token service at http:\/\/auth\.example\.com, without TLS\./);
    assert.ok(challengeOf(header, "http://registry.example.com"));
  });
});
