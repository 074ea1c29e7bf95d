import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { verifyCitadelSignature } from "../../core/citadel.ts";

const sign = (body: string | Uint8Array, secret: string) =>
  `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;

describe("verifyCitadelSignature", () => {
  const secrets = fc.string({ minLength: 1 });
  const bodies = fc.oneof(fc.string(), fc.uint8Array());

  it("accepts a body that was signed with the secret", () => {
    // RFC 4231, test case 2.
    const known = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert(verifyCitadelSignature("what do ya want for nothing?", known, "Jefe"));
    fc.assert(
      fc.property(bodies, secrets, (body, secret) =>
        verifyCitadelSignature(body, sign(body, secret), secret),
      ),
    );
  });

  it("refuses another body, another secret and a changed signature", () => {
    fc.assert(
      fc.property(bodies, bodies, secrets, secrets, (body, other, secret, wrong) => {
        const same = Buffer.from(body).equals(Buffer.from(other));
        fc.pre(!same && sign(body, secret) !== sign(body, wrong));
        assert(!verifyCitadelSignature(other, sign(body, secret), secret));
        assert(!verifyCitadelSignature(body, sign(body, wrong), secret));
      }),
    );
    fc.assert(
      fc.property(bodies, secrets, fc.nat(63), (body, secret, at) => {
        const good = sign(body, secret);
        const digit = good[7 + at] === "0" ? "1" : "0";
        const changed = good.slice(0, 7 + at) + digit + good.slice(8 + at);
        assert(!verifyCitadelSignature(body, changed, secret));
      }),
    );
  });

  it("refuses a missing or malformed header without throwing", () => {
    const good = sign("body", "secret");
    const hex = good.slice("sha256=".length);
    const bad = [undefined, "", hex, `sha1=${hex}`, `${good}00`, good.slice(0, -2), `${good}\n`];
    for (const header of bad) assert(!verifyCitadelSignature("body", header, "secret"), header);
    fc.assert(fc.property(fc.string(), (text) => !verifyCitadelSignature("body", text, "secret")));
  });

  it("throws if the secret is empty", () => {
    assert.throws(() => verifyCitadelSignature("body", sign("body", ""), ""), RangeError);
  });
});
