import assert from "node:assert/strict";
import { hostInUrl, isLoopback, sslModeOf } from "../../core/address.ts";

describe("address helpers", () => {
  it("recognize loopback hosts", () => {
    for (const host of [
      "localhost",
      "db.localhost",
      "127.0.0.1",
      "127.8.9.1",
      "::1",
      "[::1]",
      "",
    ]) {
      assert.equal(isLoopback(host), true, host);
    }
    for (const host of ["db", "localhost.example.test", "10.0.0.1", "1.127.0.0", "[2001:db8::1]"]) {
      assert.equal(isLoopback(host), false, host);
    }
  });

  it("put an IPv6 address in a URL into brackets", () => {
    assert.equal(hostInUrl("2001:db8::1"), "[2001:db8::1]");
    assert.equal(hostInUrl("[2001:db8::1]"), "[2001:db8::1]");
    assert.equal(hostInUrl("db.example.test"), "db.example.test");
  });

  it("read the sslmode of a connection string", () => {
    const mode = (query: string) => sslModeOf(new URL(`postgres://db/x${query}`));
    assert.equal(mode(""), "");
    assert.equal(mode("?sslmode=verify-full&sslrootcert=/ca.pem"), "verify-full");
    assert.equal(mode("?sslmode=no-verify"), "require");
    assert.equal(mode("?ssl=true"), "require");
    assert.equal(mode("?sslmode=maybe"), "");
  });
});
