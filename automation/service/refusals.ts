import type { FastifyRequest } from "fastify";
import { type ErrorCode, userMessage } from "../../core/errors.ts";
import type { AuditEvent } from "../audit/log.ts";
import { addressOf } from "./limiter.ts";
import type { ServiceParts } from "./parts.ts";

/** In ms. */
const WINDOW = 60_000;
/** Kinds that are told apart within a window: a flood of them must not fill the trail either. */
const MAX_KINDS = 60;

const REFUSALS: ReadonlySet<ErrorCode> = new Set(["RDEV_KEY", "RDEV_ROLE", "RDEV_RATE_LIMITED"]);

interface Kind {
  readonly event: AuditEvent;
  /** After the first one. */
  more: number;
}

/**
 * Tells the audit trail, which is kept for ever, of refusals: of each kind the first one at once, and at
 * the end of the minute how many more there were. Of a key, a kind is its refusals of one code on one
 * route; of strangers, all from one address.
 */
export class Refusals {
  readonly #parts: Pick<ServiceParts, "audit" | "logger">;
  #kinds = new Map<string, Kind>();
  /** Refusals whose kinds are not told apart any more. */
  #others = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: Pick<ServiceParts, "audit" | "logger">) {
    this.#parts = parts;
  }

  async note(code: ErrorCode, request: FastifyRequest): Promise<void> {
    if (!REFUSALS.has(code)) return;
    this.#timer ??= setTimeout(() => void this.#tellRest(), WINDOW).unref();
    const { id, ip, key, method, routeOptions } = request;
    const route = routeOptions.url;
    const kind = key ? [key.id, code, method, route].join(" ") : addressOf(request);
    const known = this.#kinds.get(kind);
    if (known) {
      known.more += 1;
    } else if (this.#kinds.size >= MAX_KINDS) {
      this.#others += 1;
    } else {
      const { slug } = request.params as { slug?: string };
      const event: AuditEvent = {
        ...{ action: "api.refuse", actor: key?.name ?? "unknown", component: "http" },
        ...(slug !== undefined && { projectId: slug }),
        result: "failure",
        details: { code, method, route, address: ip, request: id },
      };
      this.#kinds.set(kind, { event, more: 0 });
      await this.#parts.audit.record(event);
    }
  }

  /** Tells of what is not told yet. */
  async close(): Promise<void> {
    await this.#tellRest();
  }

  async #tellRest(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [kinds, others] = [this.#kinds, this.#others];
    this.#kinds = new Map();
    this.#others = 0;
    const rest: AuditEvent[] = [...kinds.values()]
      .filter(({ more }) => more > 0)
      .map(({ event, more }) => ({ ...event, details: { ...event.details, more } }));
    if (others > 0) {
      const what = { action: "api.refuse", actor: "unknown", component: "http" } as const;
      rest.push({ ...what, result: "failure", details: { more: others, of: "any kind" } });
    }
    for (const event of rest) {
      await this.#parts.audit.record(event).catch((error: unknown) => {
        const fields = { component: "audit", ...event.details };
        this.#parts.logger.warn(fields, `refusals could not be recorded: ${userMessage(error)}`);
      });
    }
  }
}
