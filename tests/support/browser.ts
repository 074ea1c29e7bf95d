import type { FastifyInstance, LightMyRequestResponse } from "fastify";

/** A browser's cookies for one service. */
export class Browser {
  readonly #app: FastifyInstance;
  readonly #cookies = new Map<string, string>();
  /** Every `set-cookie` header that it got. */
  readonly received: string[] = [];

  constructor(app: FastifyInstance) {
    this.#app = app;
  }

  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  async request(
    method: "GET" | "POST" | "PUT" | "DELETE",
    url: string,
    headers: Record<string, string> = {},
  ): Promise<LightMyRequestResponse> {
    const answer = await this.#app.inject({
      method,
      url,
      headers: { ...headers, cookie: this.cookie },
    });
    this.received.push(...[answer.headers["set-cookie"] ?? []].flat());
    for (const { name, value, maxAge } of answer.cookies) {
      if (maxAge === 0 || value === "") this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return answer;
  }
}
