import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Locator } from "playwright-core";
import { rolloutRequest } from "../../core/rollout.ts";
import { focused, tabTo } from "../support/keyboard.ts";
import { hide, PageStage } from "../support/page.ts";

describe("the view of the fleet", function () {
  this.timeout(300_000); // the first run downloads the browser
  let stage: PageStage;

  before(async () => {
    stage = await PageStage.open();
    await ended("succeeded", "1 minute");
    await ended("failed", "1 minute");
    await ended("failed", "3 days");
  });
  after(() => stage.close());
  afterEach(() => stage.closeWindows());

  const ended = (state: string, ago: string) =>
    stage.admin(`
      INSERT INTO operations (id, platform, slug, kind, request, settings, state, actor, started_at,
                              ended_at, remaining)
      VALUES ('${randomUUID()}', 'staging', 'shop', 'refresh', '{"kind": "refresh"}', '{}', '${state}',
              'rdev', now() - interval '${ago}' - interval '20 s', now() - interval '${ago}', '[]')`);

  it("shows operations, failures, durations and projects, as pictures and as numbers", async () => {
    const page = await stage.visit("/fleet");
    const chart = page.getByRole("figure", { name: "Operations in each hour" });
    await chart.getByText("failed 1", { exact: true }).waitFor();
    await chart.getByText("Numbers").click();
    const last = chart.getByRole("row").last();
    assert.deepEqual((await last.getByRole("cell").allTextContents()).join(), "1,0,1");
    const durations = page.getByRole("figure", { name: "How long operations run" });
    await durations.getByText("Numbers").click();
    assert.match((await durations.getByRole("row").last().textContent()) ?? "", /20\.0 s/);
    await page.getByLabel("Time").selectOption("7d");
    await page
      .getByRole("figure", { name: "Operations in each 6 hours" })
      .getByText("failed 2", { exact: true })
      .waitFor();
    assert.equal(new URL(page.url()).search, "?range=7d");
  });

  it("is brought up to date when its tab is shown again", async () => {
    const page = await stage.visit("/fleet?range=30d");
    await page.getByText("cancelled 0", { exact: true }).waitFor();
    const show = await hide(page);
    await ended("cancelled", "10 days");
    await show(); // the next look would be half a minute after the first
    await page.getByText("cancelled 1", { exact: true }).waitFor();
  });

  it("shows a person only the numbers of their project", async () => {
    const page = await stage.visit("/fleet", { role: "viewer", project: "other" });
    await page.getByText("failed 0", { exact: true }).first().waitFor();
  });

  describe("and a rollout", () => {
    const id = "0193a8a1-7d5c-7c44-9c41-0c8f1d3f2b11";

    before(async () => {
      const request = JSON.stringify(rolloutRequest.parse({}));
      await stage.admin(`
        INSERT INTO rollouts (id, platform, version, request, state, actor, actor_id, plan)
        VALUES ('${id}', 'staging', '0.1.0+test', '${request}', 'planned', 'ada', 'key:1', 'the-plan')`);
      await stage.admin(`
        INSERT INTO rollout_projects (rollout_id, slug, wave, state, reason, loses_data, fingerprint)
        VALUES ('${id}', 'blog', 1, 'planned', NULL, true, 'a'),
               ('${id}', 'shop', 2, 'held', NULL, false, NULL)`);
    });

    it("is approved only by those who may, and without the loss of data by an approver", async () => {
      for (const [role, buttons, choices] of [
        ["viewer", [], 0],
        ["operator", ["Cancel"], 0],
        ["approver", ["Cancel", "Approve the plan"], 0],
        ["admin", ["Cancel", "Approve the plan"], 1],
      ] as const) {
        const page = await stage.visit(`/fleet/rollouts/${id}`, { role });
        await page.getByRole("heading", { name: "Plan" }).waitFor();
        const texts = await page.locator("main").getByRole("button").allTextContents();
        assert.deepEqual(texts, buttons, role);
        assert.equal(await page.getByRole("checkbox").count(), choices, role);
        const hint = page.getByText(/^blog: held back, because the plan loses their data/);
        assert.equal(await hint.count(), role === "approver" ? 1 : 0, role);
      }
    });

    it("is approved with its plan, paused and resumed by keyboard alone, each once", async () => {
      const page = await stage.visit("/fleet");
      const actions: (string | undefined)[] = [];
      page.on("request", (request) => {
        if (request.method() === "POST") actions.push(request.url().split("/").at(-1));
      });
      const press = async (target: Locator, key = "Enter") => {
        await tabTo(page, target);
        await page.keyboard.press(key);
      };
      await press(page.getByRole("link", { name: "0.1.0+test" }));
      const title = page.getByRole("heading", { name: "Rollout of 0.1.0+test" });
      await focused(title);
      await press(page.getByLabel(/Also lose the data of blog/), "Space");
      await press(page.getByRole("button", { name: "Approve the plan" }));
      await page.keyboard.press("Enter");
      await focused(title);
      await press(page.getByRole("button", { name: "Pause" }));
      await focused(page.getByRole("button", { name: "Resume" }));
      const [row] = await stage.admin(`SELECT state, data_loss_approved FROM rollouts`);
      assert.deepEqual(row, { state: "paused", data_loss_approved: true });
      await page.keyboard.press("Enter");
      const pause = page.getByRole("button", { name: "Pause" });
      await focused(pause);
      // The second click of a double click must not press "Resume".
      await pause.dblclick({ force: true });
      await page.getByRole("button", { name: "Resume" }).waitFor();
      assert.deepEqual(actions, ["approve", "pause", "resume", "pause"]);
    });
  });
});
