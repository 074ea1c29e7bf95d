import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "undici";
import type { RunOptions } from "../cli/run-cli.ts";
import { type ServiceProcess, startService } from "./service-process.ts";

type Method = "GET" | "PUT" | "POST" | "DELETE";

interface Call {
  readonly key: string;
  readonly body?: object;
  /** Default: a new one for each call, which is sent again with the request. */
  readonly idempotencyKey?: string;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** How a replica is started: which version it is. */
export type Version = Pick<RunOptions, "folder" | "nodeOptions">;

/** In ms, between two requests of a client of the load. */
const PAUSE = 25;

/** Replicas of the service on one database, and the ingress before them. */
export class Replicas {
  /** Requests whose connection failed, so that they were sent to the next replica. */
  resent = 0;
  readonly #variables: Readonly<Record<string, string>>;
  readonly #running: ServiceProcess[] = [];
  #turn = 0;

  constructor(variables: Readonly<Record<string, string>>) {
    this.#variables = variables;
  }

  async add(version: Version): Promise<void> {
    this.#running.push(await startService({ variables: this.#variables, ...version }));
  }

  /** Like an update of a Deployment: the new replica is ready before the oldest one is stopped. */
  async replaceOldest(version: Version): Promise<void> {
    await this.add(version);
    await stopped(this.#running.shift()!);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.splice(0).map(stopped));
  }

  /** Sends the request to the next replica, and to another one if the connection fails. */
  async call(
    method: Method,
    path: string,
    { key, body, idempotencyKey = randomUUID() }: Call,
  ): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      const replica = this.#running[this.#turn++ % this.#running.length]!;
      try {
        const answer = await request(`${replica.url}${path}`, {
          method,
          headers: {
            authorization: `Bearer ${key}`,
            ...(method !== "GET" && { "idempotency-key": idempotencyKey }),
            ...(body && { "content-type": "application/json" }),
          },
          body: body ? JSON.stringify(body) : null,
        });
        return { status: answer.statusCode, text: await answer.body.text() };
      } catch (error) {
        if (attempt === 5) throw error;
        this.resent++;
      }
    }
  }

  /**
   * Sends the requests again and again, until the returned function is called. It returns how many were
   * answered, and rejects if an answer had another status.
   */
  load(requests: readonly (Call & { method: Method; path: string; status: number })[]) {
    const end = new AbortController();
    const client = async ({ method, path, status, ...call }: (typeof requests)[number]) => {
      let answers = 0;
      for (; !end.signal.aborted; answers++) {
        const answer = await this.call(method, path, call);
        assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
        await sleep(PAUSE);
      }
      return answers;
    };
    const running = Promise.all(requests.map(client));
    // The failure is reported when the load is ended.
    running.catch(() => undefined);
    return async (): Promise<number> => {
      end.abort();
      return (await running).reduce((sum, each) => sum + each, 0);
    };
  }
}

async function stopped(replica: ServiceProcess): Promise<void> {
  const { code, stderr } = await replica.stop();
  assert.equal(code, 0, stderr);
}
