import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { request } from "undici";
import { until } from "../../sandbox/process.ts";
import { variable } from "./variables.ts";

/** An account on the sandbox's Gitea, with its own token. */
export interface Person {
  readonly name: string;
  readonly token: string;
}

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

/** The accounts of a suite. They are removed with everything they own. */
export class GiteaPeople {
  readonly #password = randomBytes(12).toString("hex");
  readonly #names: string[] = [];

  async add(role: string, ...scopes: string[]): Promise<Person> {
    const name = `${role}-${randomBytes(4).toString("hex")}`;
    const { ok } = GiteaPeople;
    await ok("POST", "/admin/users", adminToken(), {
      username: name,
      email: `${name}@example.test`,
      password: this.#password,
      must_change_password: false,
    });
    this.#names.push(name);
    const basic = `Basic ${Buffer.from(`${name}:${this.#password}`).toString("base64")}`;
    const json = { name: "test", scopes };
    const made = await send<{ sha1: string }>("POST", `/users/${name}/tokens`, basic, json);
    assert.equal(made.status, 201);
    return { name, token: made.body.sha1 };
  }

  async remove(): Promise<void> {
    for (const name of this.#names) {
      await GiteaPeople.ok("DELETE", `/admin/users/${name}?purge=true`, adminToken());
    }
  }

  /** Calls the API with a token, and returns any answer. */
  static call<T>(method: string, path: string, token: string, json?: object): Promise<Answer<T>> {
    return send(method, path, `token ${token}`, json);
  }

  /** Calls the API with a token. Fails unless the call succeeds. */
  static async ok<T>(method: string, path: string, token: string, json?: object): Promise<T> {
    const { status, body } = await GiteaPeople.call<T>(method, path, token, json);
    assert.ok(status < 300, `${method} ${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  /**
   * Merges a pull request. Gitea answers 405 until a task in its background has found that it can be
   * merged (go-gitea/gitea #32111).
   */
  static async merge(repository: string, pull: number, token: string, json: object) {
    await until(() => GiteaPeople.ok("POST", `${repository}/pulls/${pull}/merge`, token, json));
  }
}

export function adminToken(): string {
  return variable("GITEA_TOKEN");
}

async function send<T>(method: string, path: string, authorization: string, json?: object) {
  const { statusCode, body } = await request(`${variable("GITEA_URL")}/api/v1${path}`, {
    method: method as "GET",
    headers: { authorization, "content-type": "application/json" },
    ...(json && { body: JSON.stringify(json) }),
  });
  const text = await body.text();
  return { status: statusCode, body: (text === "" ? undefined : JSON.parse(text)) as T };
}
