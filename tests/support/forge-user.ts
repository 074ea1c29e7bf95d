import { randomBytes } from "node:crypto";
import { json } from "../../sandbox/proofs/project.ts";
import { variable } from "./variables.ts";

/** A Gitea user without permissions, who can log in to Woodpecker. */
export interface ForgeUser {
  readonly login: string;
  /** Creates a token for Gitea with scopes. */
  token(...scopes: string[]): Promise<string>;
  /** Creates a token for Woodpecker. */
  woodpeckerToken(): Promise<string>;
}

/** Calls Gitea's API below `/api/v1` as its administrator. */
export async function asAdmin<T = unknown>(
  path: string,
  request: { readonly method?: string; readonly status?: number; readonly body?: object } = {},
): Promise<T> {
  const headers = { authorization: `token ${variable("GITEA_TOKEN")}` };
  return json<T>(`${variable("GITEA_URL")}/api/v1${path}`, headers, request);
}

export async function forgeUser(): Promise<ForgeUser> {
  const login = `u${randomBytes(5).toString("hex")}`;
  const password = randomBytes(12).toString("hex");
  const email = `${login}@example.test`;
  const account = { username: login, password, email, must_change_password: false };
  await asAdmin("/admin/users", { method: "POST", status: 201, body: account });
  const basic = `Basic ${Buffer.from(`${login}:${password}`).toString("base64")}`;
  const token = async (...scopes: string[]) => {
    const url = `${variable("GITEA_URL")}/api/v1/users/${login}/tokens`;
    const body = { name: randomBytes(5).toString("hex"), scopes };
    const options = { method: "POST", status: 201, body };
    return (await json<{ sha1: string }>(url, { authorization: basic }, options)).sha1;
  };
  return {
    login,
    token,
    async woodpeckerToken() {
      const headers = { authorization: `token ${await token("all")}` };
      const url = `${variable("WOODPECKER_URL")}/authorize`;
      return (await json<{ token: string }>(url, headers, { method: "POST" })).token;
    },
  };
}
