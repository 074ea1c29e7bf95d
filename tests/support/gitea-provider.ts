import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { request } from "undici";
import { asAdmin } from "./forge-user.ts";
import { variable } from "./variables.ts";

/** The sandbox's Gitea as an OpenID Connect provider, with one client, one organization and one person. */
export interface GiteaProvider {
  readonly clientId: string;
  readonly clientSecret: string;
  /** The person's name. */
  readonly login: string;
  /** The organization's team that the person is in: `org:developers`. */
  readonly group: string;
  /** Signs the person in at a page of Gitea, and consents. Returns where Gitea sends the browser to. */
  authorize(page: URL): Promise<URL>;
  remove(): Promise<void>;
}

export async function giteaProvider(redirectUri: string): Promise<GiteaProvider> {
  const suffix = randomBytes(4).toString("hex");
  const [login, organization] = [`p${suffix}`, `org-${suffix}`];
  const password = randomBytes(12).toString("hex");
  const post = <T>(path: string, body: object) =>
    asAdmin<T>(path, { method: "POST", status: 201, body });

  await post("/admin/users", {
    username: login,
    email: `${login}@example.test`,
    password,
    must_change_password: false,
  });
  await post("/orgs", { username: organization });
  const team = await post<{ id: number }>(`/orgs/${organization}/teams`, {
    name: "developers",
    permission: "read",
    units: ["repo.code"],
  });
  await asAdmin(`/teams/${team.id}/members/${login}`, { method: "PUT", status: 204 });
  const client = await post<{ id: number; client_id: string; client_secret: string }>(
    "/user/applications/oauth2",
    { name: `rdev-infra-${suffix}`, redirect_uris: [redirectUri], confidential_client: true },
  );
  return {
    login,
    group: `${organization}:developers`,
    clientId: client.client_id,
    clientSecret: client.client_secret,
    async authorize(page) {
      const browser = new GiteaBrowser();
      await browser.post("/user/login", { user_name: login, password });
      return browser.consent(page);
    },
    async remove() {
      const remove = (path: string) => asAdmin(path, { method: "DELETE", status: 204 });
      await remove(`/user/applications/oauth2/${client.id}`);
      await remove(`/orgs/${organization}`);
      await remove(`/admin/users/${login}?purge=true`);
    },
  };
}

/** Keeps Gitea's cookies. */
class GiteaBrowser {
  readonly #cookies = new Map<string, string>();

  /** Shows the page; posts the form of the consent, if there is one. */
  async consent(page: URL): Promise<URL> {
    const shown = await this.#send("GET", page.href);
    if (shown.location) return shown.location;
    const fields = [...shown.text.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)];
    const form = Object.fromEntries(fields.map(([, name = "", value = ""]) => [name, value]));
    assert.ok("client_id" in form, shown.text.slice(0, 2_000));
    const granted = await this.post("/login/oauth/grant", { ...form, granted: "true" });
    return granted ?? assert.fail("Gitea did not return to the service");
  }

  /** Returns where the answer leads to. */
  async post(path: string, form: Record<string, string>): Promise<URL | undefined> {
    const body = new URLSearchParams(form).toString();
    return (await this.#send("POST", variable("GITEA_URL") + path, body)).location;
  }

  async #send(method: "GET" | "POST", url: string, form?: string) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const { statusCode, headers, body } = await request(url, {
      method,
      headers: {
        cookie,
        ...(form !== undefined && { "content-type": "application/x-www-form-urlencoded" }),
      },
      body: form ?? null,
    });
    for (const set of [headers["set-cookie"] ?? []].flat()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      this.#cookies.set(name, value);
    }
    const text = await body.text();
    assert.ok(statusCode < 400, `${method} ${url}: ${statusCode} ${text.slice(0, 500)}`);
    const location = [headers.location ?? []].flat()[0];
    return { text, location: location === undefined ? undefined : new URL(location, url) };
  }
}
