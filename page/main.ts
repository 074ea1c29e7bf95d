import "./start.ts"; // its requests must begin before the calls that take the answers
import { html } from "htm/preact";
import { type ComponentChild, h, render } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useAction } from "./lib/action.ts";
import { type ApiError, call, whenSignedOut } from "./lib/api.ts";
import { announce } from "./lib/announce.ts";
import { focusHeading, keepFocus } from "./lib/focus.ts";
import { problem } from "./lib/parts.ts";
import { matchPath } from "./lib/paths.ts";
import { restorePlace } from "./lib/place.ts";
import { followLinks, usePlace } from "./lib/router.ts";
import { type Caller, mayActSomewhere, pastedKey } from "./lib/session.ts";
import type { View } from "./lib/view.ts";
import { Missing } from "./views/missing.ts";
import { Projects } from "./views/projects.ts";
import { SignIn } from "./views/sign-in.ts";
import { Unloaded } from "./views/unloaded.ts";

/** The views by path. All but the first are loaded when they are shown first. */
const ROUTES: readonly (readonly [pattern: string, load: () => View | Promise<View>])[] = [
  ["/", () => Projects],
  ["/projects", () => Projects],
  ["/sign-in", () => Projects],
  ["/projects/:slug", async () => (await import("./views/project.ts")).Project],
  ["/create", async () => (await import("./views/create.ts")).Create],
  ["/operations", async () => (await import("./views/operations.ts")).Operations],
  ["/operations/:id", async () => (await import("./views/operation.ts")).Operation],
  ["/audit", async () => (await import("./views/audit.ts")).Audit],
  ["/logs/:slug", async () => (await import("./views/logs.ts")).Logs],
  ["/fleet/rollouts/:id", async () => (await import("./views/rollout.ts")).Rollout],
  ["/fleet", async () => (await import("./views/fleet.ts")).Fleet],
];

/** The links in the header: path, text, and whether the caller may see the view. */
const LINKS: readonly (readonly [
  path: string,
  text: string,
  isShown: (caller: Caller) => boolean,
])[] = [
  ["/projects", "Projects", () => true],
  ["/operations", "Operations", () => true],
  ["/audit", "Audit", (caller) => mayActSomewhere(caller, "admin")],
  ["/fleet", "Fleet", () => true],
];

type Session = Caller | "unknown" | "nobody";

function App(): ComponentChild {
  const [session, setSession] = useState<Session>("unknown");
  const [error, setError] = useState<ApiError>();
  useEffect(() => {
    whenSignedOut(() => setSession("nobody"));
    call<Caller>("GET", "/auth/me").then(setSession, (reason: ApiError) => {
      if (reason.status !== 401) setError(reason);
    });
  }, []);
  if (error)
    return html`<main id="main" class="narrow">
      <h1>rdev-infra</h1>
      ${problem(error)}
    </main>`;
  if (session === "unknown") return null;
  if (session === "nobody") return h(SignIn, { onSignedIn: setSession });
  return h(Shell, { caller: session, onSignOut: () => setSession("nobody") });
}

interface ShellProps {
  readonly caller: Caller;
  readonly onSignOut: () => void;
}

function Shell({ caller, onSignOut }: ShellProps): ComponentChild {
  const { path, query } = usePlace();
  const [shown, setShown] = useState<{
    path: string;
    view: View;
    params: Record<string, string>;
  }>();
  useLayoutEffect(() => {
    let isCurrent = true;
    void viewOf(path).then((found) => isCurrent && setShown({ path, ...found }));
    return () => void (isCurrent = false);
  }, [path]);
  useEffect(() => {
    if (shown) announceView();
  }, [shown]);
  const { isBusy, error: refused, run } = useAction();
  const signOut = () =>
    run(async () => {
      if (pastedKey.get() === null) await call("POST", "/auth/sign-out");
      pastedKey.remove();
      onSignOut();
    });
  const links = LINKS.filter(([, , isShown]) => isShown(caller)).map(
    ([to, text]) =>
      html`<li>
        <a href=${to} aria-current=${isWithin(path, to) ? "page" : undefined}>${text}</a>
      </li>`,
  );
  const { view, params } = shown ?? {};
  // While the next view is loaded, the one before must not search with the query of the next.
  const shownQuery = useRef(query);
  if (shown?.path === path) shownQuery.current = query;
  return html` <a class="skip" href="#main">Skip to the content</a>
    <header class="bar">
      <a class="brand" href="/">rdev-infra</a>
      <nav aria-label="Views">
        <ul>
          ${links}
        </ul>
      </nav>
      <span class="who" title=${caller.actor}>${caller.actor}</span>
      <button class="button quiet" aria-disabled=${isBusy} onClick=${signOut}>Sign out</button>
    </header>
    <main id="main" tabindex="-1">
      ${problem(refused)}
      ${!mayActSomewhere(caller, "viewer") && html`<p class="problem">You have no role here yet. Ask an administrator for one.</p>`}
      ${view && h(view, { key: shown?.path, params: params ?? {}, query: shownQuery.current, caller })}
    </main>`;
}

function isWithin(path: string, link: string): boolean {
  return path === link || path.startsWith(`${link}/`) || (path === "/" && link === "/projects");
}

async function viewOf(path: string): Promise<{ view: View; params: Record<string, string> }> {
  for (const [pattern, load] of ROUTES) {
    const params = matchPath(pattern, path);
    if (params) return { view: await loaded(load), params };
  }
  return { view: Missing, params: {} };
}

/** Holds the address of this module, which has the page's version, after the page was loaded again. */
const RELOADED = "rdev-infra reloaded";

/**
 * After an upgrade the service has no modules of the version before, so the page is loaded again, once for
 * each version. If that did not help, or the service does not answer, a view says so.
 */
async function loaded(load: () => View | Promise<View>): Promise<View> {
  try {
    return await load();
  } catch {
    const isReloaded = sessionStorage.getItem(RELOADED) === import.meta.url;
    if (isReloaded || !(await answers())) return Unloaded;
    sessionStorage.setItem(RELOADED, import.meta.url);
    location.reload();
    return new Promise(() => undefined);
  }
}

/** Without the service, the browser would replace this page by its own error page. */
async function answers(): Promise<boolean> {
  const answer = await fetch("/", { cache: "no-store" }).catch(() => undefined);
  return answer?.ok ?? false;
}

/** The first view keeps the focus where the browser has put it. */
let isFirst = true;

function announceView(): void {
  const title = document.querySelector<HTMLElement>("main h1");
  document.title = title ? `${title.textContent} · rdev-infra` : "rdev-infra";
  if (!isFirst) {
    scrollTo(0, 0);
    focusHeading();
    announce(title?.textContent ?? "");
  }
  isFirst = false;
}

restorePlace();
followLinks();
const root = document.createElement("div");
root.id = "app";
document.body.prepend(root);
keepFocus(root);
render(h(App, {}), root);
