import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent } from "undici";
import { z } from "zod";
import { type OperationView, operationSchema } from "../../automation/service/schemas/operation.ts";
import type { Ingress } from "../../sandbox/node/ingress.ts";
import { until } from "../../sandbox/process.ts";
import type { GiteaPerson } from "../../sandbox/sign-in.ts";
import { signIn } from "./gitea-provider.ts";
import { WebBrowser } from "./web-browser.ts";

/** In ms, between two requests of the load. */
const PAUSE = 50;

const events = z.object({
  items: z.array(z.object({ event: z.object({ event: z.string(), type: z.string().optional() }) })),
});

interface Load {
  readonly answers: number;
  readonly lost: number;
}

/** A person who has signed in to the service through Gitea, both of them behind the ingress. */
export class SignedInPerson {
  readonly #origin: string;
  readonly #browser: WebBrowser;

  private constructor(origin: string, browser: WebBrowser) {
    this.#origin = origin;
    this.#browser = browser;
  }

  /** The browser finds all names at the ingress, and trusts its authority only. */
  static async signIn(
    origin: string,
    { address, tls }: Ingress,
    person: GiteaPerson,
  ): Promise<SignedInPerson> {
    const browser = new WebBrowser(
      new Agent({
        connect: {
          ca: tls.authority,
          lookup: (_name, _options, found) => found(null, [{ address, family: 4 }]),
        },
      }),
    );
    await signIn(browser, origin, person);
    return new SignedInPerson(origin, browser);
  }

  /** The JSON of a page of the API. */
  async get(path: string): Promise<unknown> {
    const { status, text } = await this.#browser.request(this.#origin + path);
    assert.equal(status, 200, `${path}: ${status} ${text}`);
    return JSON.parse(text);
  }

  /** Begins an operation, as a script of the service's own pages would. */
  async begin(method: "PUT" | "POST", path: string, body?: object): Promise<OperationView> {
    const { status, text } = await this.#browser.request(this.#origin + path, {
      method,
      headers: { origin: this.#origin, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    assert.equal(status, 202, `${path}: ${text}`);
    return operationSchema.parse(JSON.parse(text));
  }

  /** The operation when it has ended. A replica may stop meanwhile. */
  async ended({ id }: Pick<OperationView, "id">, deadlineMs = 300_000): Promise<OperationView> {
    let operation: OperationView | undefined;
    await until(
      async () => {
        operation = operationSchema.parse(await this.get(`/v1/operations/${id}`));
        assert.ok(operation.endedAt, `it is ${operation.state}`);
      },
      undefined,
      deadlineMs,
    );
    return operation ?? assert.fail();
  }

  /** Waits until the operation has done its step for a resource. The end of a type is sufficient. */
  async seesDone({ id }: Pick<OperationView, "id">, type: string): Promise<void> {
    await until(
      async () => {
        const { items } = events.parse(await this.get(`/v1/operations/${id}/events`));
        const done = items.filter(({ event }) => event.event === "resourceDone");
        assert.ok(done.some(({ event }) => event.type?.endsWith(type)));
      },
      undefined,
      120_000,
    );
  }

  /**
   * Reads a page again and again, until the returned function is called. It returns how many requests
   * were answered with 200, and how many the ingress could not pass on (502). Rejects at any other answer.
   */
  load(path: string): () => Promise<Load> {
    const end = new AbortController();
    const reading = (async () => {
      let [answers, lost] = [0, 0];
      while (!end.signal.aborted) {
        const { status, text } = await this.#browser.request(this.#origin + path);
        if (status === 502) lost++;
        else assert.equal(status, 200, `${path}: ${status} ${text}`);
        answers += Number(status === 200);
        await sleep(PAUSE);
      }
      return { answers, lost };
    })();
    // The failure is reported when the load is ended.
    reading.catch(() => undefined);
    return () => {
      end.abort();
      return reading;
    };
  }
}
