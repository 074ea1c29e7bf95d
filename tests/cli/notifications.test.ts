import assert from "node:assert/strict";
import type { Delivery } from "../../core/notification-delivery.ts";
import { type FakeService, fakeService } from "../support/fake-service.ts";
import { runCli } from "./run-cli.ts";

const WAITING: Delivery = {
  id: "01990000-0000-7000-8000-000000000002",
  receiver: "team",
  state: "waiting",
  kind: "drift.found",
  subject: "drift",
  at: "2026-01-02T03:04:05.678Z",
  attempts: 1,
  reason: "the server said \u001b[31mno",
};
const GIVEN_UP: Delivery = {
  ...WAITING,
  id: "01990000-0000-7000-8000-000000000001",
  receiver: "ops",
  state: "given-up",
  attempts: 12,
  reason: "ops answered 410.",
};

describe("rdev-infra notifications", function () {
  this.timeout(60_000);
  const resent: (string | undefined)[] = [];
  let service: FakeService;
  let variables: Record<string, string>;

  before(async () => {
    service = await fakeService({
      deliveries: {
        list: async ({ state }) =>
          [WAITING, GIVEN_UP].filter((one) => state === undefined || one.state === state),
        resend: async (_actor, id) => {
          resent.push(id);
          return id === undefined ? 2 : 1;
        },
      },
    });
    const url = await service.app.listen({ port: 0, host: "127.0.0.1" });
    variables = { RDEV_INFRA_URL: url, RDEV_INFRA_KEY: service.key("admin"), NO_COLOR: "1" };
  });
  after(() => service.app.close());

  const run = (...args: string[]) => runCli(["notifications", ...args], { variables });

  it("lists what receivers have not taken, without control characters", async () => {
    const { code, stdout } = await run("list");
    assert.equal(code, 0);
    const [waiting = "", givenUp] = stdout.split("\n");
    assert.match(waiting, /^2026-\S+ {2}\S+02 {2}team: drift\.found of drift waiting after 1 att/);
    assert.ok(!waiting.includes("\u001b"), waiting);
    assert.equal(
      givenUp,
      `${GIVEN_UP.at}  ${GIVEN_UP.id}  ops: drift.found of drift given up after 12 attempts: ops answered 410.`,
    );
    const only = await run("list", "--given-up", "--json");
    assert.deepEqual(JSON.parse(only.stdout), GIVEN_UP);
  });

  it("sends one or all again, and wants to know which", async () => {
    assert.equal((await run("resend", GIVEN_UP.id)).stdout, "1 notification is sent again.\n");
    assert.equal((await run("resend", "--all")).stdout, "2 notifications are sent again.\n");
    const unclear = [await run("resend"), await run("resend", GIVEN_UP.id, "--all")];
    for (const { code, stderr } of unclear) {
      assert.equal(code, 2);
      assert.match(stderr, /name a notification's id, or --all/);
    }
    assert.deepEqual(resent, [GIVEN_UP.id, undefined]);
  });
});
