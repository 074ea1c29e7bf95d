import assert from "node:assert/strict";
import { assertAccessible, assertViewAccessible, PageStage } from "../support/page.ts";

const HOSTILE = `<img src=x onerror="window.hurt=1">`;

describe("the views of the page", function () {
  this.timeout(300_000); // the first run downloads the browser
  let stage: PageStage;
  /** Each view with a text that shows that it is complete. The logs and the fleet have tests of their own. */
  let views: readonly (readonly [path: string, text: string])[];

  before(async () => {
    stage = await PageStage.open();
    await stage.addProject("my-app", HOSTILE);
    const { operation } = await stage.operations.submit({
      platform: "staging",
      slug: "my-app",
      request: { kind: "up", settings: { name: HOSTILE }, onFailure: "keep" },
      actor: HOSTILE,
      ifBusy: "wait",
    });
    const urn = "urn:pulumi:s::p::gitea:Repository::my-app";
    const step = { urn, type: "gitea:Repository", name: HOSTILE, op: "create", component: false };
    const events = [
      { event: "resourceDone", ...step, durationMs: 700 },
      { event: "diagnostic", severity: "warning", message: `slow ${HOSTILE}` },
    ];
    const values = events.map(
      (event, at) => `('${operation.id}', ${at + 2}, now(), '${JSON.stringify(event)}')`,
    );
    await stage.admin(
      `INSERT INTO operation_events (operation_id, number, at, event) VALUES ${values.join()}`,
    );
    await stage.admin(
      `UPDATE operations SET last_event = 3, state = 'running', started_at = now()
       WHERE id = '${operation.id}'`,
    );
    views = [
      ["/", "my-app"],
      ["/create", "Template"],
      ["/operations", "my-app"],
      ["/audit", "Details"],
      ["/projects/a/b", "There is no such view"],
      ["/projects/my-app", "Settings"],
      ["/projects/my-app?show=resources", "Last step"],
      ["/projects/my-app?show=operations", "Error"],
      ["/projects/my-app?show=audit", "Details"],
      [`/operations/${operation.id}`, "slow"],
    ];
  });
  after(() => stage.close());
  afterEach(() => stage.closeWindows());

  it("have no finding of axe, light and dark, wide and narrow, and show texts as texts", async () => {
    for (const [path, text] of views) {
      await assertViewAccessible(stage, path, async (page) => {
        await page.getByRole("heading", { level: 1 }).waitFor();
        await page.locator("main").getByText(text).first().waitFor();
        assert.equal(await page.evaluate("window.hurt"), undefined, path);
        assert.equal(await page.locator("main img").count(), 0, path);
      });
    }
  });

  it("show the details of an event in the audit trail in full after a click", async () => {
    const page = await stage.visit("/audit");
    const event = page.getByRole("row", { name: "operation.submit" });
    const inFull = event.getByText('"kind": "up"');
    assert.equal(await inFull.isVisible(), false);
    await event.locator("summary").click();
    await inFull.waitFor();
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
