import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { storeDelivery } from "../../../automation/previews/requests.ts";
import { fakeService } from "../../support/fake-service.ts";
import { comment, pullRequest } from "../../support/forge-payloads.ts";
import { migratedStore } from "../../support/migrated-store.ts";

const SECRET = "planted-secret-of-a-forge-webhook!";
const HEAD = "a".repeat(40);

describe("the webhook of the forge", function () {
  this.timeout(60_000);
  const test = migratedStore("forge_deliveries", "pull_request_heads", "preview_requests");
  let service: Awaited<ReturnType<typeof fakeService>>;

  beforeEach(async () => {
    service = await fakeService({
      forge: {
        secret: SECRET,
        repository: "acme/infra",
        store: (body, events) => storeDelivery(test.store(), body, events),
      },
      limits: { unauthenticatedPerMinute: 20 },
    });
  });
  afterEach(() => service.app.close());

  const sign = (body: string, secret = SECRET) =>
    `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
  const post = async (body: string, headers: Record<string, string> = {}) => {
    const answer = await service.app.inject({
      method: "POST",
      url: "/v1/forge/events",
      headers: {
        "content-type": "application/json",
        "x-hub-signature-256": sign(body),
        ...headers,
      },
      body,
    });
    const { result, code } = answer.json<{ result?: string; code?: string }>();
    return [answer.statusCode, result ?? code];
  };
  const requests = async () =>
    (await test.admin("SELECT request FROM preview_requests ORDER BY id")).map(
      ({ request }) => request as { kind: string },
    );

  it("takes a comment and a review of both hosts", async () => {
    const bodies = [
      comment({ body: "/preview", by: "ada" }),
      comment({ body: `/preview ${HEAD}\n`, by: "ada", host: "github" }),
      pullRequest({ head: HEAD, review: { type: "pull_request_review_approved", content: "" } }),
      pullRequest({ head: HEAD, review: { state: "approved", commit_id: "b".repeat(40) } }),
    ];
    for (const body of bodies) assert.deepEqual(await post(body), [202, "accepted"]);
    const found = await requests();
    assert.deepEqual(
      found.map((request) => ({ ...request, at: undefined })),
      [
        { kind: "asked", number: 7, command: "preview", by: "ada", isPerson: true, at: undefined },
        {
          kind: "asked",
          number: 7,
          command: "preview",
          commit: HEAD,
          by: "ada",
          isPerson: true,
          at: undefined,
        },
        { kind: "approved", number: 7, commit: HEAD, at: undefined },
        { kind: "approved", number: 7, commit: "b".repeat(40), at: undefined },
      ],
    );
  });

  it("ignores what asks for nothing", async () => {
    for (const body of [
      comment({ body: "please /preview", by: "ada" }),
      comment({ body: "> /preview\n\nno", by: "ada" }),
      comment({ body: "/preview abc", by: "ada" }),
      comment({ body: "/preview", by: "ada", action: "edited" }),
      comment({ body: "/preview", by: "ada", isPull: false }),
      JSON.stringify({ repository: { full_name: "Acme/infra" }, ref: "refs/heads/main" }),
    ]) {
      assert.deepEqual(await post(body), [202, "ignored"], body);
    }
    assert.deepEqual(await requests(), []);
  });

  it("refuses a forged, missing, shortened or other signature", async () => {
    const body = comment({ body: "/preview", by: "ada" });
    const right = sign(body);
    for (const signature of [
      "",
      "sha256=",
      right.slice(0, -1),
      `${right}0`,
      right.slice("sha256=".length),
      sign(body, "another secret of 32 characters!!"),
      sign(`${body} `),
      `sha1=${createHmac("sha1", SECRET).update(body).digest("hex")}`,
    ]) {
      const answer = await post(body, { "x-hub-signature-256": signature });
      assert.deepEqual(answer, [401, "RDEV_SIGNATURE"], signature);
    }
    assert.deepEqual(await requests(), []);
    assert.doesNotMatch(JSON.stringify(service.lines), /planted/);
  });

  it("compares the signature of the largest body without a look at each byte", async () => {
    // One object for each byte took 1 to 3 s, in which the service answered nobody.
    const begin = process.cpuUsage();
    const answer = await post("0".repeat(1024 * 1024), { "x-hub-signature-256": "" });
    const { user } = process.cpuUsage(begin);
    assert.deepEqual(answer, [401, "RDEV_SIGNATURE"]);
    assert.ok(user < 500_000, `took ${user / 1000} ms of CPU`);
  });

  it("refuses an address with too many wrong signatures", async () => {
    const body = comment({ body: "/preview", by: "ada" });
    for (let index = 0; index < 20; index += 1) await post(body, { "x-hub-signature-256": "" });
    assert.deepEqual(await post(body), [429, "RDEV_RATE_LIMITED"]);
    const large = "x".repeat(1024 * 1024 + 1);
    assert.deepEqual(await post(large), [429, "RDEV_RATE_LIMITED"], "before the body is read");
  });

  it("stores a delivery once, even if it is sent with another id", async () => {
    const body = comment({ body: "/preview", by: "ada" });
    const id = (text: string) => ({ "x-github-delivery": text });
    assert.deepEqual(await post(body, id("one")), [202, "accepted"]);
    // The id is not signed: whoever replays the body can choose another.
    for (const text of ["one", "two", "three"]) {
      assert.deepEqual(await post(body, id(text)), [202, "repeated"]);
    }
    assert.equal((await test.admin("SELECT FROM forge_deliveries")).length, 1);
    const other = comment({ body: "/preview", by: "ada", id: 2 });
    assert.deepEqual(await post(other, id("one")), [202, "accepted"]);
    assert.equal((await requests()).length, 2);
  });

  it("refuses another repository, and bodies that are too large, not JSON or another type", async () => {
    const foreign = comment({ body: "/preview", by: "ada", repository: "acme/other" });
    assert.deepEqual(await post(foreign), [400, "RDEV_REQUEST"]);
    assert.deepEqual(await post("{"), [400, "RDEV_REQUEST"]);
    assert.deepEqual(await post('"a text"'), [400, "RDEV_REQUEST"]);
    const large = comment({ body: "x".repeat(1024 * 1024), by: "ada" });
    assert.deepEqual(await post(large), [413, "RDEV_TOO_LARGE"]);
    const form = { "content-type": "application/x-www-form-urlencoded" };
    assert.deepEqual(await post("payload=x", form), [415, "RDEV_MEDIA_TYPE"]);
    assert.deepEqual(await requests(), []);
  });

  it("does not exist unless the platform sets it up", async () => {
    const without = await fakeService();
    const answer = await without.app.inject({
      method: "POST",
      url: "/v1/forge/events",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(answer.statusCode, 404);
    await without.app.close();
  });
});
