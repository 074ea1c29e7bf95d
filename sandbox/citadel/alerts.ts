import { createHash, createHmac, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "undici";
import type { Database } from "./database.ts";
import type { LogEvent } from "./events.ts";

export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly created_at: string;
}

const TRIES = 3;
const PAUSE_MS = 200; // before the second try; twice as long before the third
const ANSWER_MS = 5000;

/** Tells webhooks of errors that were never seen before. */
export class Alerts {
  readonly #database: Database;
  readonly #closing = new AbortController();
  /** In the order in which they came about; a delivery does not wait for the one before. */
  readonly #pending = new Set<Promise<void>>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** A URL is there once: registered again, it takes the new secret. */
  register(url: string, secret: string): { webhook: Webhook; isNew: boolean } {
    const known = this.webhooks().find((webhook) => webhook.url === url);
    if (known) {
      this.#database.run("UPDATE webhooks SET secret = ? WHERE id = ?", [secret, known.id]);
      return { webhook: known, isNew: false };
    }
    const webhook = { id: randomUUID(), url, created_at: new Date().toISOString() };
    this.#database.run("INSERT INTO webhooks (id, url, secret, created_at) VALUES (?, ?, ?, ?)", [
      ...[webhook.id, url, secret, webhook.created_at],
    ]);
    return { webhook, isNew: true };
  }

  /** Without their secrets. */
  webhooks(): Webhook[] {
    return this.#database
      .all("SELECT id, url, created_at FROM webhooks ORDER BY created_at, id")
      .map((row) => row as unknown as Webhook);
  }

  /** Looks at what was ingested; `number` is the tenant's in the database. */
  look(tenant: { id: string; number: number }, events: readonly LogEvent[]): void {
    for (const event of events) {
      if (event.level !== "error") continue;
      const fingerprint = fingerprintOf(event);
      const { changes } = this.#database.run(
        "INSERT OR IGNORE INTO fingerprints (tenant, fingerprint) VALUES (?, ?)",
        [tenant.number, fingerprint],
      );
      if (changes > 0) this.#tell(JSON.stringify(payload(tenant.id, fingerprint, event)));
    }
  }

  /** Gives up what was not delivered. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#pending);
  }

  #tell(body: string): void {
    for (const row of this.#database.all("SELECT url, secret FROM webhooks")) {
      const delivery = this.#deliver(row["url"] as string, row["secret"] as string, body)
        // Nobody is there to be told; the next error is another event.
        .catch(() => undefined)
        .finally(() => this.#pending.delete(delivery));
      this.#pending.add(delivery);
    }
  }

  async #deliver(url: string, secret: string, body: string): Promise<void> {
    const signature = createHmac("sha256", secret).update(body).digest("hex");
    const headers = {
      "content-type": "application/json",
      "x-citadel-signature": `sha256=${signature}`,
    };
    for (let attempt = 1; ; attempt += 1) {
      try {
        const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(ANSWER_MS)]);
        const answer = await request(url, { method: "POST", headers, body, signal });
        await answer.body.dump();
        if (answer.statusCode < 500) return;
        throw new Error(`answered ${answer.statusCode}`);
      } catch (error) {
        if (attempt === TRIES) throw error;
        await sleep(PAUSE_MS * attempt, undefined, { signal: this.#closing.signal });
      }
    }
  }
}

/** One for each kind of error: numbers, ids and addresses in the message do not make another. */
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
