import { createHash, createHmac, randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import pRetry from "p-retry";
import { request } from "undici";
import { z } from "zod";
import { parseBody } from "./http.ts";
import type { LogEvent } from "./logs.ts";

interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly created_at: string;
}

const RETRIES = 2;
const FIRST_PAUSE_MS = 200; // doubled for the second retry
const ANSWER_MS = 5000;

/** Calls the webhooks for each kind of error that a tenant logs for the first time. */
export class Alerts {
  /** By URL. */
  readonly #webhooks = new Map<string, { readonly webhook: Webhook; secret: string }>();
  readonly #fingerprints = new Set<string>();
  readonly #closing = new AbortController();
  /** Deliveries run side by side: none waits for an earlier one. */
  readonly #deliveries = new Set<Promise<void>>();

  /** Each URL is registered once: a second registration replaces its secret. */
  register(url: string, secret: string): { webhook: Webhook; isNew: boolean } {
    const known = this.#webhooks.get(url);
    const created_at = new Date().toISOString();
    const webhook = known?.webhook ?? { id: randomUUID(), url, created_at };
    this.#webhooks.set(url, { webhook, secret });
    return { webhook, isNew: !known };
  }

  /** The webhooks, without their secrets. */
  webhooks(): Webhook[] {
    return [...this.#webhooks.values()].map(({ webhook }) => webhook);
  }

  /** Reports the new errors of a batch. */
  report(tenant: string, events: readonly LogEvent[]): void {
    for (const event of events) {
      if (event.level !== "error") continue;
      const fingerprint = fingerprintOf(event);
      const key = `${tenant} ${fingerprint}`;
      if (this.#fingerprints.has(key)) continue;
      this.#fingerprints.add(key);
      this.#send(JSON.stringify(payload(tenant, fingerprint, event)));
    }
  }

  /** Cancels the deliveries that are still running. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#deliveries);
  }

  #send(body: string): void {
    for (const { webhook, secret } of this.#webhooks.values()) {
      const delivery = this.#deliver(webhook.url, secret, body)
        // A receiver that cannot be reached loses this alert.
        .catch(() => undefined)
        .finally(() => this.#deliveries.delete(delivery));
      this.#deliveries.add(delivery);
    }
  }

  async #deliver(url: string, secret: string, body: string): Promise<void> {
    const signature = createHmac("sha256", secret).update(body).digest("hex");
    const headers = {
      "content-type": "application/json",
      "x-citadel-signature": `sha256=${signature}`,
    };
    const attempt = async () => {
      const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(ANSWER_MS)]);
      const answer = await request(url, { method: "POST", headers, body, signal });
      await answer.body.dump();
      if (answer.statusCode >= 500) throw new Error(`answered ${answer.statusCode}`);
    };
    const { signal } = this.#closing;
    await pRetry(attempt, { retries: RETRIES, minTimeout: FIRST_PAUSE_MS, factor: 2, signal });
  }
}

const newWebhook = z.object({
  url: z.url({ protocol: /^https?$/ }).max(2048),
  secret: z.string().min(16).max(256),
});

/** The shape of a registration is assumed: only the payload that webhooks receive is published. */
export function webhookRoutes(app: FastifyInstance, alerts: Alerts): void {
  app.post("/api/v1/webhooks/deployments", async (request, reply) => {
    const { url, secret } = parseBody(newWebhook, request.body, 422);
    const { webhook, isNew } = alerts.register(url, secret);
    return reply.code(isNew ? 201 : 200).send(webhook);
  });

  app.get("/api/v1/webhooks/deployments", async () => ({ webhooks: alerts.webhooks() }));
}

/** Identifies a kind of error: numbers, ids and addresses in the message are left out. */
function fingerprintOf({ service, message, fields }: LogEvent): string {
  const kind = message.slice(0, 500).replace(/\b[0-9a-f-]*\d[0-9a-f-]*\b/gi, "#");
  const parts = JSON.stringify([service, text(fields["exception_type"]), kind]);
  return createHash("sha256").update(parts).digest("hex").slice(0, 32);
}

function payload(tenant: string, fingerprint: string, event: LogEvent) {
  const { fields } = event;
  return {
    event_type: "new_error",
    timestamp: new Date().toISOString(),
    tenant_id: tenant,
    fingerprint,
    exception_type: text(fields["exception_type"]) ?? "Error",
    message: event.message.slice(0, 1000),
    language: text(fields["language"]) ?? "unknown",
    environment: event.environment ?? "",
    release_version: text(fields["release_version"]),
    first_occurrence: event.timestamp,
    dashboard_url: `https://citadel.invalid/tenants/${tenant}/errors/${fingerprint}`,
  };
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
