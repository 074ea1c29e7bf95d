import assert from "node:assert/strict";
import { assertViewAccessible, PageStage } from "../support/page.ts";

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

  it("ask for a sign-in first, and lead back to the view", async () => {
    const page = await stage.visit("/projects?search=a", { role: "nobody" });
    await page.getByLabel("API key").fill(await stage.key("viewer"));
    await page.getByRole("button", { name: "Use the key" }).click();
    await page.getByRole("heading", { name: "Projects" }).waitFor();
    assert.equal(new URL(page.url()).search, "?search=a");
  });
});
