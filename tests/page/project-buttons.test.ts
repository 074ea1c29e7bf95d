import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { focused } from "../support/keyboard.ts";
import { PageStage } from "../support/page.ts";

describe("the buttons of a project", function () {
  this.timeout(300_000); // the first run downloads the browser
  let stage: PageStage;

  before(async () => {
    stage = await PageStage.open();
    await stage.admin(`
      INSERT INTO projects (slug, platform, name, settings, outputs)
      VALUES ('plain', 'staging', 'Plain', '{}', '{}'),
             ('drifted', 'staging', 'Drifted', '{}', '{}'),
             ('leaving', 'staging', 'Leaving', '{}', '{}'),
             ('stopped', 'staging', 'Stopped', '{"stopped": true}', '{}')`);
    const change = {
      ...{ op: "update", urn: "urn:x::y", type: "gitea:Repository", name: "drifted" },
      ...{ properties: [], moreProperties: 0, by: [], since: new Date().toISOString() },
    };
    await stage.admin(`
      INSERT INTO drift (slug, checked_at, changes, fixable_by)
      VALUES ('drifted', now(), '${JSON.stringify([change])}', 'updates')`);
  });
  after(() => stage.close());
  afterEach(() => stage.closeWindows());

  it("stops, starts and fixes a project, and says before what stops, stays and goes back", async () => {
    const page = await stage.visit("/projects/plain", { role: "operator" });
    const newest = async (slug: string) =>
      (await stage.operations.list({ limit: 1, slugs: [slug] }))[0]?.request;
    const stop = page.getByRole("button", { name: "Stop …" });
    await stop.click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("all pods").waitFor();
    await dialog.getByRole("button", { name: "Keep it running" }).press("Enter");
    await page.locator("dialog").waitFor({ state: "detached" }); // else it would open no second one
    await focused(stop);
    assert.equal(await newest("plain"), undefined);
    await stop.press("Enter");
    await dialog.getByRole("button", { name: "Stop the project" }).press("Enter");
    await page.getByRole("heading", { level: 1, name: "up of plain" }).waitFor();
    const up = { kind: "up", onFailure: "keep" } as const;
    assert.deepEqual(await newest("plain"), { ...up, settings: { stopped: true } });

    await page.goto(`${stage.url}/projects?search=plain`);
    await page.getByRole("row", { name: "plain" }).getByText("stopped").waitFor();
    await page.getByRole("link", { name: "plain" }).click();
    await page.locator("main .badge", { hasText: "stopped" }).waitFor();
    assert.equal(await stop.count(), 0);
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByRole("heading", { level: 1, name: "up of plain" }).waitFor();
    assert.deepEqual(await newest("plain"), { ...up, settings: { stopped: false } });

    await page.goto(`${stage.url}/projects/drifted`);
    await page.getByRole("button", { name: "Fix drift …" }).click();
    await dialog.getByRole("rowheader", { name: "drifted" }).waitFor();
    await dialog.getByRole("button", { name: "Fix the drift" }).click();
    await page.getByRole("heading", { level: 1, name: "up of drifted" }).waitFor();
    assert.deepEqual(await newest("drifted"), { ...up, settings: {}, fix: "all" });
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.locator("main .badge", { hasText: "cancelled" }).waitFor();
  });

  it("offers no stop for a project that is being deleted, because an up would bring it back", async () => {
    const destroy = { kind: "destroy" } as const;
    const common = { platform: "staging", actor: "test", ifBusy: "wait" } as const;
    await stage.operations.submit({ ...common, slug: "leaving", request: destroy });
    const page = await stage.visit("/projects/leaving", { role: "operator" });
    await page.locator("main .badge", { hasText: "deleting" }).waitFor();
    const buttons = await page.locator("main").getByRole("button").allInnerTexts();
    assert.deepEqual(buttons, ["Check for drift", "Preview", "Bring up"]);
  });

  describe("does once what a person asks for twice", () => {
    const presses = {
      // A busy button says that it is disabled, and Playwright would wait for its end.
      "a double click": (button: Locator) => button.dblclick({ force: true }),
      "Enter twice": async (button: Locator) => {
        await button.press("Enter");
        await button.press("Enter");
      },
    };

    /** Presses a button twice before the service answers, and again before the next view is there. */
    async function pressOften(
      page: Page,
      button: Locator,
      press: (button: Locator) => Promise<void> = presses["a double click"],
    ): Promise<string[]> {
      const [answer, arrival] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const sent: string[] = [];
      await page.route("**/v1/**", async (route, request) => {
        if (request.method() === "GET") return route.continue();
        sent.push(`${request.method()} ${new URL(request.url()).pathname}`);
        await answer.promise;
        return route.continue();
      });
      await page.route("**/page/views/operation.ts", async (route) => {
        await arrival.promise;
        return route.continue();
      });
      await press(button);
      answer.resolve();
      await page.waitForURL("**/operations/*");
      await press(button);
      arrival.resolve();
      await page.getByRole("heading", { name: /^(up|preview) of / }).waitFor();
      await page.unrouteAll();
      return sent;
    }

    for (const [how, press] of Object.entries(presses)) {
      it(`starts one operation for ${how}`, async () => {
        const page = await stage.visit("/projects");
        for (const [request, text, confirm = text] of [
          ["POST /v1/projects/drifted/drift/check", "Check for drift"],
          ["POST /v1/projects/drifted/preview", "Preview"],
          ["PUT /v1/projects/drifted", "Bring up"],
          ["POST /v1/projects/drifted/drift/fix", "Fix drift …", "Fix the drift"],
          ["POST /v1/projects/drifted/stop", "Stop …", "Stop the project"],
          ["POST /v1/projects/stopped/start", "Start"],
        ] as const) {
          const [path] = /\/projects\/\w+/.exec(request) ?? assert.fail();
          await page.goto(stage.url + path);
          if (confirm !== text) await page.getByRole("button", { name: text }).click();
          const button = page.getByRole("button", { name: confirm });
          assert.deepEqual(await pressOften(page, button, press), [request]);
          await page.reload(); // the module of the next view comes from the network again
          await page.getByRole("button", { name: "Cancel" }).dblclick({ force: true });
          await page.locator("main .badge", { hasText: "cancelled" }).waitFor();
          assert.equal(await page.getByRole("alert").count(), 0);
        }
      });
    }

    it("is ready again when a person goes back before the next view is there", async () => {
      const page = await stage.visit("/projects/drifted");
      await page.route("**/page/views/operation.ts", () => undefined); // no answer
      const preview = page.getByRole("button", { name: "Preview" });
      await preview.click();
      await page.waitForURL("**/operations/*");
      assert.equal(await preview.getAttribute("aria-disabled"), "true");
      await page.goBack();
      await page.getByRole("button", { name: "Preview", disabled: false }).waitFor();
    });

    it("finds the operation of a request whose answer was lost", async () => {
      const page = await stage.visit("/projects/drifted");
      await page.route(
        "**/v1/projects/drifted",
        async (route, request) => {
          if (request.method() === "GET") return route.fallback();
          await route.fetch();
          await route.abort();
        },
        { times: 2 },
      );
      const up = page.getByRole("button", { name: "Bring up" });
      const before = await stage.operations.list({ limit: 100, slugs: ["drifted"] });
      await up.click();
      await page.getByRole("alert").getByText("RDEV_UNREACHABLE").waitFor();
      await page.unrouteAll();
      await up.click();
      await page.getByRole("heading", { name: "up of drifted" }).waitFor();
      const after = await stage.operations.list({ limit: 100, slugs: ["drifted"] });
      assert.equal(after.length, before.length + 1);
      await stage.operations.cancel(after[0]!.id, "test");
    });
  });
});
