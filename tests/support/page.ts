import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { AxeBuilder } from "@axe-core/playwright";
import type { FastifyInstance } from "fastify";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { auditLog } from "../../automation/audit/log.ts";
import { auditPage } from "../../automation/audit/queries.ts";
import { Authenticator } from "../../automation/identity/authenticator.ts";
import { DriftRecords } from "../../automation/drift/table.ts";
import { Keys } from "../../automation/keys/keys.ts";
import { ErrorCounts } from "../../automation/logs/error-counts.ts";
import { ProjectLogs } from "../../automation/logs/project-logs.ts";
import { Operations } from "../../automation/operations/operations.ts";
import { Rollouts } from "../../automation/rollouts/rollouts.ts";
import { statistics } from "../../automation/statistics.ts";
import { migrate } from "../../automation/store/migrate.ts";
import { ProjectRecords } from "../../automation/store/project-records.ts";
import { Projects } from "../../automation/store/projects.ts";
import { Store } from "../../automation/store/store.ts";
import type { Role } from "../../core/identity.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import { provideBrowser } from "../../sandbox/browser.ts";
import { type Citadel as CitadelServer, startCitadel } from "../../sandbox/citadel/server.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { embeddedStore } from "./embedded-store.ts";
import { fakeService } from "./fake-service.ts";

const VERSION = "0.1.0+test";
const ORGANIZATION = "orchard9";
/** Playwright waits as long for a condition. */
const PATIENCE_MS = 15_000;
const WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** Chromium, from the cache or downloaded. */
export async function launchBrowser(): Promise<Browser> {
  const report = (part: string, text: string) => console.error(`${part}: ${text}`);
  return chromium.launch(await provideBrowser({ report }));
}

/** Adds what goes wrong in a page from now on: errors of scripts, and violations of the policy. */
export function collectFaults(page: Page, faults: string[]): void {
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    // Refusals of the service are a part of many tests.
    const isRefusal = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isRefusal) faults.push(message.text());
  });
}

export interface VisitOptions {
  /** The role of the key that is pasted before the page opens. Default: admin. */
  readonly role?: Role | "nobody";
  /** The only project of the key. */
  readonly project?: string;
  readonly scheme?: "light" | "dark";
  readonly width?: number;
  readonly height?: number;
}

/**
 * The service with a database of its own, a stand-in for Citadel and no runner, so that operations wait
 * until a test changes them; and a browser that shows its page.
 */
export class PageStage {
  readonly url: string;
  readonly store: Store;
  readonly operations: Operations;
  readonly citadel: Citadel;
  readonly citadelServer: CitadelServer;
  /** Errors of scripts in the pages, and violations of the policy. */
  readonly faults: string[] = [];
  readonly #database: Awaited<ReturnType<typeof embeddedStore>>;
  readonly #app: FastifyInstance;
  readonly #browser: Browser;
  readonly #closing: readonly (() => Promise<void>)[];
  readonly #contexts: BrowserContext[] = [];

  private constructor(parts: {
    readonly url: string;
    readonly store: Store;
    readonly operations: Operations;
    readonly citadelServer: CitadelServer;
    readonly database: Awaited<ReturnType<typeof embeddedStore>>;
    readonly app: FastifyInstance;
    readonly browser: Browser;
    readonly closing: readonly (() => Promise<void>)[];
  }) {
    this.url = parts.url;
    this.store = parts.store;
    this.operations = parts.operations;
    this.citadelServer = parts.citadelServer;
    this.citadel = new Citadel(parts.citadelServer);
    this.#database = parts.database;
    this.#app = parts.app;
    this.#browser = parts.browser;
    this.#closing = parts.closing;
  }

  static async open(): Promise<PageStage> {
    const [database, citadelServer, browser] = await Promise.all([
      embeddedStore(),
      startCitadel({ organization: ORGANIZATION }),
      launchBrowser(),
    ]);
    await migrate(database);
    const store = new Store({ url: database.url });
    const operations = new Operations(store);
    const audit = auditLog(store);
    const rollouts = new Rollouts(store, { platform: PLATFORM, version: VERSION, audit });
    const { app } = await fakeService({
      operations,
      rollouts,
      projects: new ProjectRecords(store),
      drift: new DriftRecords(store),
      authenticator: new Authenticator({ keys: new Keys(store) }),
      audit,
      auditPage: (query) => auditPage(store, query),
      statistics: (query) => statistics(store, query),
      logs: new ProjectLogs(new Citadel(citadelServer)),
      errorCounts: new ErrorCounts(new Citadel(citadelServer)),
    });
    const url = await app.listen({ host: "127.0.0.1", port: 0 });
    const closing = [() => operations.close(), () => rollouts.close()];
    return new PageStage({
      url,
      store,
      operations,
      citadelServer,
      database,
      app,
      browser,
      closing,
    });
  }

  /** Runs a statement as the database's administrator. */
  admin(statement: string): Promise<Record<string, unknown>[]> {
    return this.#database.admin(statement);
  }

  /** Adds a project that is ready, with an environment in Citadel. Returns the environment's id. */
  async addProject(slug: string, name = slug): Promise<string> {
    const environment = { slug, name, organization: ORGANIZATION, metadata: {} };
    const { id } = await this.citadel.environments.create(environment);
    await new Projects(this.store).put({ slug, platform: PLATFORM, name, citadelTenantId: id });
    return id;
  }

  /** An API key. */
  async key(role: Role, project?: string): Promise<string> {
    const name = `${role}-${randomUUID().slice(0, 8)}`;
    const { text } = await new Keys(this.store).create(
      { name, role, ...(project !== undefined && { project }) },
      "test",
    );
    return text;
  }

  /** Opens a view in a browser window of its own, signed in with a key. */
  async visit(path: string, options: VisitOptions = {}): Promise<Page> {
    const { role = "admin", project, scheme = "light", width = 1280, height = 800 } = options;
    const context = await this.#browser.newContext({
      colorScheme: scheme,
      viewport: { width, height },
      reducedMotion: "reduce",
      timezoneId: "UTC",
    });
    this.#contexts.push(context);
    context.setDefaultTimeout(PATIENCE_MS);
    if (role !== "nobody") {
      const key = await this.key(role, project);
      await context.addInitScript((text) => sessionStorage.setItem("rdev-infra key", text), key);
    }
    const page = await context.newPage();
    collectFaults(page, this.faults);
    await page.goto(this.url + path);
    return page;
  }

  /** A page that has lost its connections and finds no other, until the returned function is called. */
  async disconnect(page: Page): Promise<() => Promise<void>> {
    // Chromium continues to read the streams that it has.
    await page.context().setOffline(true);
    this.#app.server.closeAllConnections();
    return () => page.context().setOffline(false);
  }

  /** Closes the windows, and fails if a page had an error. For `afterEach`. */
  async closeWindows(): Promise<void> {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
    assert.deepEqual(this.faults.splice(0), []);
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.#app.close();
    for (const close of this.#closing) await close();
    await this.store.close();
    await Promise.all([this.#database.close(), this.citadelServer.close()]);
  }
}

/** A page in a hidden tab, for which the browser draws nothing, until the returned function is called. */
export async function hide(page: Page): Promise<() => Promise<void>> {
  await page.evaluate(`{
    const draw = requestAnimationFrame;
    const waiting = [];
    let state = "hidden";
    const changed = () => document.dispatchEvent(new Event("visibilitychange"));
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
    window.requestAnimationFrame = (callback) => waiting.push(callback);
    window.showAgain = () => {
      window.requestAnimationFrame = draw;
      state = "visible";
      waiting.forEach((callback) => draw(callback));
      changed();
    };
    changed();
  }`);
  return () => page.evaluate("showAgain()");
}

/**
 * Checks a view with axe, in light and wide, and in dark and narrow, where it must not scroll sideways. Tables
 * scroll by themselves, so they need not break names and times.
 */
export async function assertViewAccessible(page: Page, view: string): Promise<void> {
  for (const [colorScheme, width] of [
    ["light", 1280],
    ["dark", 320],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    await assertAccessible(page, `${view}, ${colorScheme}, ${width} px`);
    const beyond = await page.evaluate(`{
      const parts = [document.documentElement, ...document.querySelectorAll("dialog[open]")];
      Math.max(...parts.map(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth));
    }`);
    assert.equal(beyond, 0, `${view} scrolls sideways at ${width} px`);
    const broken = await page.evaluate(`{
      const parts = document.querySelectorAll("table time, table td > a, table th > a, table td.whole");
      const lines = (part) => {
        const range = document.createRange();
        range.selectNodeContents(part);
        return new Set([...range.getClientRects()].map(({ top }) => top)).size;
      };
      [...parts].filter((part) => lines(part) > 1).map((part) => part.textContent);
    }`);
    assert.deepEqual(broken, [], `${view} breaks a name or a time in a table at ${width} px`);
    const narrow = await page.evaluate(`{
      const contents = document.createRange();
      [...document.querySelectorAll("td")].flatMap((cell) => {
        contents.selectNodeContents(cell);
        const { width, height } = contents.getBoundingClientRect();
        return height > 2 * width ? [cell.textContent] : [];
      });
    }`);
    assert.deepEqual(narrow, [], `${view} has columns of letters at ${width} px`);
  }
}

/** Fails with every finding of axe for WCAG 2.2 AA. */
export async function assertAccessible(page: Page, view: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).withTags(WCAG).analyze();
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map(
      ({ target, failureSummary }) => `${view}: ${id} at ${String(target)}: ${failureSummary}`,
    ),
  );
  assert.ok(found.length === 0, found.join("\n"));
}
