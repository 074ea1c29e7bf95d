import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { json, type JsonRequest } from "../../sandbox/proofs/project.ts";
import { variable } from "./variables.ts";
import { WebBrowser } from "./web-browser.ts";

/** The sandbox's Gitea as an OpenID Connect provider, with one client, one organization and one person. */
export interface GiteaProvider {
  readonly clientId: string;
  readonly clientSecret: string;
  /** The person's name. */
  readonly login: string;
  /** The organization's team that the person is in: `org:developers`. */
  readonly group: string;
  /** Signs the person in at a page of Gitea, and consents. Returns where Gitea sends the browser to. */
  authorize(page: URL, browser?: WebBrowser): Promise<URL>;
  remove(): Promise<void>;
}

interface GiteaAdmin {
  readonly url: string;
  readonly token: string;
}

export async function giteaProvider(
  redirectUri: string,
  gitea: GiteaAdmin = { url: variable("GITEA_URL"), token: variable("GITEA_TOKEN") },
): Promise<GiteaProvider> {
  const asAdmin = <T>(path: string, request: JsonRequest) =>
    json<T>(`${gitea.url}/api/v1${path}`, { authorization: `token ${gitea.token}` }, request);
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
    authorize: (page, browser = new WebBrowser()) =>
      authorized(browser, page, { user_name: login, password }),
    async remove() {
      const remove = (path: string) => asAdmin(path, { method: "DELETE", status: 204 });
      await remove(`/user/applications/oauth2/${client.id}`);
      await remove(`/orgs/${organization}`);
      await remove(`/admin/users/${login}?purge=true`);
    },
  };
}

/** Signs in at the page's origin. Then shows the page, and posts the form of the consent, if there is one. */
async function authorized(
  browser: WebBrowser,
  page: URL,
  account: Readonly<Record<"user_name" | "password", string>>,
): Promise<URL> {
  await browser.postForm(new URL("/user/login", page), account);
  const shown = await browser.request(page);
  assert.ok(shown.status < 400, `${page.href}: ${shown.status} ${shown.text.slice(0, 500)}`);
  if (shown.location) return shown.location;
  const fields = [...shown.text.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)];
  const form = Object.fromEntries(fields.map(([, name = "", value = ""]) => [name, value]));
  assert.ok("client_id" in form, shown.text.slice(0, 2_000));
  const consent = new URL("/login/oauth/grant", page);
  const granted = await browser.postForm(consent, { ...form, granted: "true" });
  return granted.location ?? assert.fail("Gitea did not return to the service");
}
