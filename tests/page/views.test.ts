import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PAGE_VIEWS } from "../../core/page-views.ts";
import { assertAccessible, assertViewAccessible, PageStage } from "../support/page.ts";
import {
  answerRequests,
  fillViews,
  PAGE_VIEWS_SHOWN,
  type PageView,
  stableText,
} from "../support/page-views.ts";

const FOLDER = join(import.meta.dirname, "aria");
/** `npm run aria` writes the files. */
const MUST_WRITE = process.env["ARIA"] === "write";

describe("the views of the page", function () {
  this.timeout(300_000); // the first run downloads the browser
  let stage: PageStage;

  before(async () => {
    stage = await PageStage.open();
    await fillViews(stage);
  });
  after(() => stage.close());
  afterEach(() => stage.closeWindows());

  for (const view of PAGE_VIEWS_SHOWN) {
    it(`"${view.name}" is as its file says, shows texts as texts, and has no finding of axe`, async () => {
      const { name, path, text, part = "main", isOpen = false, prepare } = view;
      const page = await stage.visit("/sign-in", { role: isOpen ? "nobody" : "admin" });
      await answerRequests(page);
      await page.goto(stage.url + path);
      await page.locator("main").getByText(text).first().waitFor();
      await prepare?.(page);
      assert.equal(await page.evaluate("window.hurt"), undefined);
      assert.equal(await page.locator("main img, main script, a[href^=javascript]").count(), 0);
      await page.locator(part).waitFor(); // a dialog opens after the next paint
      await compare(name, stableText(await page.locator(part).ariaSnapshot()));
      await page.evaluate(
        "for (const one of document.querySelectorAll('main details')) one.open = true",
      );
      await assertViewAccessible(page, name);
    });
  }

  for (const role of ["viewer", "operator", "approver"] as const) {
    it(`have no button that the service would refuse ${role === "viewer" ? "a viewer" : `an ${role}`}`, async () => {
      const page = await stage.visit("/", { role });
      for (const view of PAGE_VIEWS_SHOWN.filter(({ isOpen }) => !isOpen)) {
        await page.goto(stage.url + view.path);
        const isRefused = ["audit", "project-audit"].includes(view.name);
        const content = isRefused
          ? page.getByRole("alert").getByText("RDEV_ROLE")
          : page.locator("main").getByText(view.text).first();
        await content.waitFor();
        const buttons = await page.locator("main").getByRole("button").allTextContents();
        const texts = buttons.map((button) => button.trim());
        assert.deepEqual(texts, buttonsFor(view, role), view.name);
        assert.equal(await page.getByRole("link", { name: /^Audit/ }).count(), 0, view.name);
      }
    });
  }

  function buttonsFor(view: PageView, role: "viewer" | "operator" | "approver") {
    const { forViewer = [], forOperator = [], forApprover = [] } = view;
    return [
      ...(role === "viewer" ? [] : forOperator),
      ...forViewer,
      ...(role === "approver" ? forApprover : []),
    ];
  }

  async function compare(name: string, snapshot: string): Promise<void> {
    const file = join(FOLDER, `${name}.yaml`);
    if (MUST_WRITE) await writeFile(file, `${snapshot}\n`);
    assert.equal(
      `${snapshot}\n`,
      await readFile(file, "utf8"),
      "run npm run aria, and look at the change",
    );
  }

  it("are all in the table", () => {
    const shown = PAGE_VIEWS_SHOWN.map(({ path }) => path.split(/[/?]/)[1]);
    assert.deepEqual(new Set(shown), new Set(["", ...PAGE_VIEWS]));
  });

  it("have a way out when the page itself cannot be loaded", async () => {
    const page = await stage.visit("/sign-in");
    const wayOut = page.getByRole("link", { name: "load it again" });
    await page.getByRole("heading", { level: 1 }).waitFor();
    assert.equal(await wayOut.isVisible(), false);
    await page.route("**/page/lib/format.ts", (route) => route.fulfill({ status: 404 }));
    await page.goto(`${stage.url}/fleet?range=7d`);
    // It appears after a while.
    await page.evaluate("for (const one of document.getAnimations()) one.finish()");
    await wayOut.waitFor();
    await page.unrouteAll();
    await wayOut.click();
    await page.getByRole("heading", { name: "Fleet" }).waitFor();
    assert.equal(new URL(page.url()).search, "?range=7d");
  });

  it("ask for a sign-in first, and lead back to the view", async () => {
    const page = await stage.visit("/projects?search=a", { role: "nobody" });
    await page.getByLabel("API key").fill(await stage.key("viewer"));
    await page.getByRole("button", { name: "Use the key" }).click();
    await page.getByRole("heading", { name: "Projects" }).waitFor();
    assert.equal(new URL(page.url()).search, "?search=a");
  });

  it("lead back to a search that is too long for the sign-in's cookie", async () => {
    const page = await stage.visit("/logs/my-app", { role: "nobody" });
    const methods = { browser: true, issuer: "https://git.example.test" };
    await page.route("**/auth/methods", (route) => route.fulfill({ json: methods }));
    let key: string | undefined;
    // In place of the provider, which signs in at once.
    await page.route("**/auth/sign-in?*", async (route, request) => {
      const place = new URL(request.url()).searchParams.get("return") ?? "";
      assert.ok(place.length <= 2_000, `${place.length} characters`);
      key = await stage.key("viewer");
      return route.fulfill({ status: 302, headers: { location: place } });
    });
    await page.route("**/v1/**", (route, request) =>
      route.continue({ headers: { ...request.headers(), authorization: `Bearer ${key}` } }),
    );
    await page.route("**/auth/me", (route, request) =>
      key === undefined
        ? route.continue()
        : route.continue({ headers: { ...request.headers(), authorization: `Bearer ${key}` } }),
    );
    for (const length of [20, 2_000]) {
      key = undefined;
      const q = "a ".repeat(length / 2).trim();
      await page.goto(`${stage.url}/logs/my-app?q=${encodeURIComponent(q)}`);
      await page.getByRole("link", { name: "Sign in at git.example.test" }).click();
      await page.getByRole("heading", { name: "Logs of my-app" }).waitFor();
      assert.equal(new URL(page.url()).searchParams.get("q"), q);
      assert.equal(await page.getByLabel("Query").inputValue(), q);
    }
  });

  it("are loaded again once when their module is gone, and then say so", async () => {
    const page = await stage.visit("/projects");
    let loads = 0;
    page.on("load", () => (loads += 1));
    let asked = 0;
    await page.route("**/page/views/fleet.ts", (route) => {
      asked += 1;
      return route.fulfill({ status: 404 });
    });
    await page.getByRole("link", { name: "Fleet" }).click();
    const title = page.getByRole("heading", { name: "This view could not be loaded" });
    await title.waitFor();
    assert.deepEqual([loads, asked], [1, 2]);
    await assertAccessible(page, "a view that could not be loaded");
    await page.getByRole("button", { name: "Load the page again" }).click();
    await title.waitFor();
    assert.deepEqual([loads, asked], [2, 3]);
    await page.unrouteAll();
    await page.getByRole("button", { name: "Load the page again" }).click();
    await page.getByRole("heading", { name: "Fleet" }).waitFor();

    // Without an answer of the service, the page stays as it is.
    await page.goto(`${stage.url}/projects`);
    await page.getByRole("heading", { name: "Projects" }).waitFor();
    await page.context().setOffline(true);
    loads = 0;
    await page.getByRole("link", { name: "Operations" }).click();
    await title.waitFor();
    assert.equal(loads, 0);
    await page.context().setOffline(false);
  });
});
