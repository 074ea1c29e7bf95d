import assert from "node:assert/strict";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { verifyCitadelSignature } from "../../../core/citadel.ts";
import { Citadel } from "../../../providers/citadel/client.ts";
import { provider } from "../../../providers/citadel/webhook.ts";
import { type Citadel as Server, startCitadel } from "../../../sandbox/citadel/server.ts";
import { fails } from "../../support/errors.ts";
import { testVariables } from "../../support/variables.ts";

const SECRET = "planted-webhook-secret";
const NEXT_SECRET = "planted-secret-of-the-next";

describe("citadel:Webhook", () => {
  const set = testVariables();
  let server: Server;
  let receiver: HttpServer;
  let inputs: { url: string; credentialsVersion: number };
  let received: (delivery: { body: Buffer; signature: string }) => void;

  before(async () => {
    server = await startCitadel({ organization: "orchard9" });
    receiver = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const signature = String(request.headers["x-citadel-signature"]);
        received({ body: Buffer.concat(chunks), signature });
        response.end();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    const { port } = receiver.address() as AddressInfo;
    inputs = { url: `http://127.0.0.1:${port}/alerts`, credentialsVersion: 1 };
  });
  after(async () => {
    await server.close();
    receiver.closeAllConnections();
    receiver.close();
  });
  beforeEach(() =>
    set({
      CITADEL_URL: server.url,
      CITADEL_API_KEY: server.apiKey,
      CITADEL_AGENT_KEY: undefined,
      CITADEL_TENANT_ID: undefined,
      CITADEL_WEBHOOK_SECRET: SECRET,
    }),
  );

  /** Sends Citadel a new error, and returns the webhook request about it. */
  async function alert(slug: string) {
    const citadel = new Citadel();
    const metadata = {};
    const organization = "orchard9";
    const { id } = await citadel.environments.create({ slug, name: slug, organization, metadata });
    const delivery = new Promise<Parameters<typeof received>[0]>((resolve) => (received = resolve));
    const timestamp = new Date().toISOString();
    const event = { message: slug, level: "error", timestamp, service: slug } as const;
    await citadel.ingest(id, [{ ...event, environment: "test", target: "t" }]);
    return delivery;
  }

  it("is registered once and verifiable, and a raised version renews the secret", async () => {
    assert.deepEqual(await provider.read(inputs.url, inputs), { id: "", props: {} });
    const { id, outs } = await provider.create(inputs);
    assert.deepEqual([id, outs], [inputs.url, inputs]);
    await provider.create(inputs);
    const all = (await new Citadel().webhooks.list()).filter(({ url }) => url === inputs.url);
    assert.equal(all.length, 1);
    assert.deepEqual(await provider.read(id, outs), { id, props: inputs, inputs });

    const first = await alert("first-error");
    assert(verifyCitadelSignature(first.body, first.signature, SECRET));
    assert(!verifyCitadelSignature(first.body, first.signature, NEXT_SECRET));
    assert(!verifyCitadelSignature(`${first.body.toString()} `, first.signature, SECRET));

    set({ CITADEL_WEBHOOK_SECRET: NEXT_SECRET });
    const raised = { ...inputs, credentialsVersion: 2 };
    assert.deepEqual(await provider.diff(id, outs, raised), {
      changes: true,
      replaces: [],
      deleteBeforeReplace: true,
    });
    await provider.update(id, outs, raised);
    const second = await alert("second-error");
    assert(verifyCitadelSignature(second.body, second.signature, NEXT_SECRET));

    // Citadel's API cannot delete a webhook.
    await provider.delete(id, outs);
    assert((await new Citadel().webhooks.list()).some(({ url }) => url === inputs.url));
  });

  it("needs CITADEL_WEBHOOK_SECRET, and shows it in no error", async () => {
    set({ CITADEL_WEBHOOK_SECRET: undefined });
    await fails(provider.create({ ...inputs, url: "http://127.0.0.1:1/" }), "RDEV_CONNECTION");
    set({ CITADEL_WEBHOOK_SECRET: "too short" });
    await fails(provider.create(inputs), "RDEV_CONNECTION", ["too short"]);
    set({ CITADEL_WEBHOOK_SECRET: SECRET, CITADEL_URL: "http://127.0.0.1:1" });
    await fails(provider.create(inputs), "RDEV_UNREACHABLE", [SECRET, server.apiKey]);
  }).timeout(20_000);

  it("registers another webhook for another address", async () => {
    const moved = { ...inputs, url: "https://alerts.example.test/" };
    assert.deepEqual((await provider.diff(inputs.url, inputs, moved)).replaces, ["url"]);
  });
});
