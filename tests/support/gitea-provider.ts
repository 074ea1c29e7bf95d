import assert from "node:assert/strict";
import { createGiteaPerson, type GiteaAdmin, type GiteaPerson } from "../../sandbox/sign-in.ts";
import { variable } from "./variables.ts";
import { WebBrowser } from "./web-browser.ts";

/** The sandbox's Gitea as an OpenID Connect provider, with one client, one organization and one person. */
export interface GiteaProvider extends GiteaPerson {
  /** Signs the person in at a page of Gitea, and consents. Returns where Gitea sends the browser to. */
  authorize(page: URL, browser?: WebBrowser): Promise<URL>;
}

export async function giteaProvider(
  redirectUri: string,
  gitea: GiteaAdmin = { url: variable("GITEA_URL"), token: variable("GITEA_TOKEN") },
): Promise<GiteaProvider> {
  const person = await createGiteaPerson(redirectUri, gitea);
  return {
    ...person,
    authorize: (page, browser = new WebBrowser()) => authorized(browser, page, person),
  };
}

/** Signs a person in to the service at `origin`, as a browser does. */
export async function signIn(
  browser: WebBrowser,
  origin: string,
  person: Pick<GiteaPerson, "login" | "password">,
): Promise<void> {
  const started = await browser.request(`${origin}/auth/sign-in`);
  assert.equal(started.status, 302, started.text);
  const back = await authorized(browser, started.location ?? assert.fail(), person);
  const finished = await browser.request(back);
  assert.equal(finished.status, 302, finished.text);
}

/** Signs in at the page's origin. Then shows the page, and posts the form of the consent, if there is one. */
async function authorized(
  browser: WebBrowser,
  page: URL,
  { login, password }: Pick<GiteaPerson, "login" | "password">,
): Promise<URL> {
  await browser.postForm(new URL("/user/login", page), { user_name: login, password });
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
