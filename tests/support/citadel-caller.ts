import assert from "node:assert/strict";
import { request } from "undici";
import { type Citadel, type CitadelOptions, startCitadel } from "../../sandbox/citadel/server.ts";

export interface Answer {
  readonly status: number;
  /** Parsed JSON; undefined if there is none. */
  readonly body: unknown;
}

export interface Entry {
  readonly id: string;
  readonly message: string;
}

/** Calls the stand-in's API directly, without the project's client. */
export class CitadelCaller {
  readonly #citadel: Citadel;

  constructor(citadel: Citadel) {
    this.#citadel = citadel;
  }

  async call(
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const answer = await request(`${this.#citadel.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#citadel.apiKey}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      body: typeof body === "string" || body instanceof Buffer ? body : JSON.stringify(body),
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, body: text === "" ? undefined : JSON.parse(text) };
  }

  /** The new tenant's id. */
  async tenant(slug: string, group?: string): Promise<string> {
    const wanted = { slug, name: slug, organization: "orchard9" };
    const { status, body } = await this.call("POST", "/tenants", wanted);
    assert.equal(status, 201, JSON.stringify(body));
    const { id } = body as { id: string };
    if (group) {
      await this.call("PUT", `/tenant-groups/${group}`);
      await this.call("PUT", `/tenant-groups/${group}/tenants/${id}`);
    }
    return id;
  }

  ingest(tenant: string, events: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.call("POST", "/ingest", events, { "x-tenant-id": tenant, ...headers });
  }

  async query(
    q: string,
    headers: Record<string, string> = {},
    more: Record<string, string> = {},
  ): Promise<{ entries: Entry[]; total: number }> {
    const path = `/query?${new URLSearchParams({ q, ...more }).toString()}`;
    const { status, body } = await this.call("GET", path, undefined, headers);
    assert.equal(status, 200, JSON.stringify(body));
    return body as { entries: Entry[]; total: number };
  }

  /** The messages of the found events, sorted. */
  async found(...query: Parameters<CitadelCaller["query"]>): Promise<string[]> {
    return (await this.query(...query)).entries.map(({ message }) => message).sort();
  }
}

export interface StandIn {
  readonly citadel: Citadel;
  readonly caller: CitadelCaller;
  /** The id of `my-app`, a member of the group `projects`. */
  readonly tenant: string;
}

/** Gives each test of a suite its own stand-in for Citadel. */
export function withStandIn(
  give: (standIn: StandIn) => void,
  options: Partial<CitadelOptions> = {},
): void {
  let citadel: Citadel;
  beforeEach(async () => {
    citadel = await startCitadel({ organization: "orchard9", ...options });
    const caller = new CitadelCaller(citadel);
    give({ citadel, caller, tenant: await caller.tenant("my-app", "projects") });
  });
  afterEach(() => citadel.close());
}

/** An event with all required fields. */
export function logEvent(message: string, more: Record<string, unknown> = {}) {
  return {
    message,
    level: "info",
    timestamp: new Date().toISOString(),
    service: "rdev-api",
    environment: "staging",
    target: "main",
    ...more,
  };
}
