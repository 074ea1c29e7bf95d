import assert from "node:assert/strict";
import { type Dispatcher, request } from "undici";

interface Answer {
  readonly status: number;
  readonly text: string;
  /** Where a redirect leads to. */
  readonly location: URL | undefined;
}

interface Options {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends requests with the cookies of each origin, as a browser does. Follows no redirect. */
export class WebBrowser {
  readonly #dispatcher: Dispatcher | undefined;
  readonly #cookies = new Map<string, Map<string, string>>();

  /** The dispatcher decides how names are found and whose certificates are valid. */
  constructor(dispatcher?: Dispatcher) {
    this.#dispatcher = dispatcher;
  }

  async request(url: URL | string, { method = "GET", headers, body }: Options = {}) {
    const target = new URL(url);
    const jar = this.#cookies.get(target.origin) ?? new Map<string, string>();
    this.#cookies.set(target.origin, jar);
    const answer = await request(target, {
      method,
      headers: {
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join("; "),
        ...headers,
      },
      body: body ?? null,
      ...(this.#dispatcher && { dispatcher: this.#dispatcher }),
    });
    for (const set of [answer.headers["set-cookie"] ?? []].flat()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      if (value === "") jar.delete(name);
      else jar.set(name, value);
    }
    const location = [answer.headers.location ?? []].flat()[0];
    return {
      status: answer.statusCode,
      text: await answer.body.text(),
      location: location === undefined ? undefined : new URL(location, target),
    } satisfies Answer;
  }

  /** Posts a form as the page does that shows it. Fails for an error. */
  async postForm(url: URL | string, form: Record<string, string>): Promise<Answer> {
    const answer = await this.request(url, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(form).toString(),
    });
    assert.ok(answer.status < 400, `POST ${String(url)}: ${answer.status} ${answer.text}`);
    return answer;
  }
}
