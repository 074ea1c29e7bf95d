import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { startFaultyProxy, type FaultyProxy } from "./faulty-proxy.ts";
import { rejected } from "./errors.ts";
import { testVariables, variable } from "./variables.ts";

interface Target {
  /** The variable with the system's address, such as `GITEA_URL`. */
  readonly url: string;
  /** The variable with its token or password. */
  readonly credential: string;
  /** An operation that only reads, and succeeds. */
  read(): Promise<unknown>;
}

/** Declares the tests of a provider whose HTTP system fails. */
export function itMeetsFaults(target: Target): void {
  describe("if the system fails", () => {
    const set = testVariables();
    let proxy: FaultyProxy;

    beforeEach(async () => {
      proxy = await startFaultyProxy(variable(target.url));
      set({ [target.url]: proxy.url });
    });
    afterEach(() => proxy.close());

    it("names a wrong credential without its value", async () => {
      const wrong = `wrong-${randomBytes(8).toString("hex")}`;
      set({ [target.credential]: wrong });
      const { message, stack } = await rejected(target.read(), /^RDEV_UNAUTHORIZED: /);
      assert.match(message, new RegExp(target.credential));
      assert.doesNotMatch(`${message} ${stack}`, new RegExp(wrong));
    });

    it("reports a missing permission on 403", async () => {
      proxy.misbehave({ status: 403 });
      await rejected(target.read(), /^RDEV_FORBIDDEN: /);
    });

    it("names the address of a system that is down", async () => {
      set({ [target.url]: "http://127.0.0.1:1" });
      await rejected(target.read(), /^RDEV_UNREACHABLE: .*http:\/\/127\.0\.0\.1:1/);
    });

    it("waits for Retry-After on 429", async () => {
      proxy.misbehave({ status: 429, headers: { "retry-after": "1" }, times: 1 });
      const start = performance.now();
      await target.read();
      assert.ok(performance.now() - start > 900, "it did not wait");
    });

    for (const fault of [{ status: 502 }, { status: 503 }, { status: 504 }, { reset: true }]) {
      it(`retries a read after ${fault.reset ? "a reset" : fault.status}`, async () => {
        proxy.misbehave({ ...fault, times: 2 });
        await target.read();
        assert.ok(proxy.requests.length > 2);
      });
    }

    it("does not retry a refused request", async () => {
      proxy.misbehave({ status: 400, body: "no such thing" });
      await rejected(target.read(), /^RDEV_REFUSED: .*no such thing/);
      assert.equal(proxy.requests.length, 1);
    });

    it("describes an answer that does not match the API", async () => {
      proxy.misbehave({ status: 200, body: "<html>Welcome to nginx!</html>" });
      await rejected(target.read(), /^RDEV_CONTRACT: /);
    });
  });
}
