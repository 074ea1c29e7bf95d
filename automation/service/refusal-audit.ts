import type { FastifyRequest } from "fastify";
import { type ErrorCode, userMessage } from "../../core/errors.ts";
import type { AuditEvent } from "../audit/log.ts";
import { addressOf } from "./limiter.ts";
import type { ServiceOptions } from "./options.ts";

const WINDOW_MS = 60_000;
/** Per window. A flood of different refusals must not fill the audit trail, which is kept forever. */
const MAX_KINDS = 60;

const AUDITED: ReadonlySet<ErrorCode> = new Set([
  "RDEV_KEY",
  "RDEV_TOKEN",
  "RDEV_ORIGIN",
  "RDEV_ROLE",
  "RDEV_RATE_LIMITED",
]);

interface RefusalKind {
  readonly event: AuditEvent;
  /** Refusals after the first one. */
  more: number;
}

/**
 * Writes refused requests to the audit trail. The first refusal of a kind is written at once, and the
 * number of further ones at the end of the minute. For requests of a known caller a kind is the
 * caller, the error code and the route; for others it is the address.
 */
export class RefusalAudit {
  readonly #options: Pick<ServiceOptions, "audit" | "logger">;
  #kinds = new Map<string, RefusalKind>();
  /** Refusals beyond MAX_KINDS. */
  #others = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: Pick<ServiceOptions, "audit" | "logger">) {
    this.#options = options;
  }

  /** Never rejects: the caller is refused all the same, and the log has what the trail lacks. */
  async record(code: ErrorCode, request: FastifyRequest): Promise<void> {
    if (!AUDITED.has(code)) return;
    this.#timer ??= setTimeout(() => void this.#flush(), WINDOW_MS).unref();
    const { id, ip, identity, method, routeOptions } = request;
    const route = routeOptions.url;
    const kind = identity ? [identity.id, code, method, route].join(" ") : addressOf(request);
    const known = this.#kinds.get(kind);
    if (known) {
      known.more += 1;
    } else if (this.#kinds.size >= MAX_KINDS) {
      this.#others += 1;
    } else {
      const { slug } = request.params as { slug?: string };
      const event: AuditEvent = {
        action: "api.refuse",
        actor: identity?.actor ?? "unknown",
        component: "http",
        ...(slug !== undefined && { projectId: slug }),
        result: "failure",
        details: { code, method, route, address: ip, request: id },
      };
      this.#kinds.set(kind, { event, more: 0 });
      await this.#write(event);
    }
  }

  /** Writes the counts that are still pending. */
  async close(): Promise<void> {
    await this.#flush();
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [kinds, others] = [this.#kinds, this.#others];
    this.#kinds = new Map();
    this.#others = 0;
    const pending: AuditEvent[] = [...kinds.values()]
      .filter(({ more }) => more > 0)
      .map(({ event, more }) => ({ ...event, details: { ...event.details, more } }));
    if (others > 0) {
      pending.push({
        action: "api.refuse",
        actor: "unknown",
        component: "http",
        result: "failure",
        details: { more: others, of: "any kind" },
      });
    }
    for (const event of pending) await this.#write(event);
  }

  async #write(event: AuditEvent): Promise<void> {
    await this.#options.audit.record(event).catch((error: unknown) => {
      const fields = { component: "audit", ...event.details };
      this.#options.logger.warn(fields, `refusals could not be recorded: ${userMessage(error)}`);
    });
  }
}
