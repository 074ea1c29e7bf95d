import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rolloutRequest } from "../../core/rollout.ts";
import { assertAccessible, assertViewAccessible, PageStage } from "../support/page.ts";

describe("the view of the fleet", function () {
  this.timeout(300_000); // the first run downloads the browser
  let stage: PageStage;

  before(async () => {
    stage = await PageStage.open();
    const ended = (state: string, ago: string) =>
      stage.admin(`
        INSERT INTO operations (id, platform, slug, kind, request, settings, state, actor, started_at,
                                ended_at, remaining)
        VALUES ('${randomUUID()}', 'staging', 'shop', 'refresh', '{"kind": "refresh"}', '{}', '${state}',
                'rdev', now() - interval '${ago}' - interval '20 s', now() - interval '${ago}', '[]')`);
    await ended("succeeded", "1 minute");
    await ended("failed", "1 minute");
    await ended("failed", "3 days");
  });
  after(() => stage.close());
  afterEach(() => stage.closeWindows());

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

  it("shows a person only the numbers of their project", async () => {
    const page = await stage.visit("/fleet", { role: "viewer", project: "other" });
    await page.getByText("failed 0", { exact: true }).first().waitFor();
  });

  describe("and a rollout", () => {
    const id = "0193a8a1-7d5c-7c44-9c41-0c8f1d3f2b11";
    const hostile = "<img src=x onerror=window.hurt=1>";

    before(async () => {
      const request = JSON.stringify(rolloutRequest.parse({}));
      await stage.admin(`
        INSERT INTO rollouts (id, platform, version, request, state, actor, actor_id, plan)
        VALUES ('${id}', 'staging', '0.1.0+test', '${request}', 'planned', 'ada', 'key:1', 'the-plan')`);
      await stage.admin(`
        INSERT INTO rollout_projects (rollout_id, slug, wave, state, reason, loses_data, fingerprint)
        VALUES ('${id}', 'blog', 1, 'planned', NULL, true, 'a'),
               ('${id}', 'shop', 2, 'held',
                '{"code": "plan-failed", "message": "${hostile}"}', false, NULL)`);
    });

    it("shows it to a viewer without the buttons that would be refused", async () => {
      const page = await stage.visit("/fleet", { role: "viewer" });
      await page.getByRole("link", { name: "0.1.0+test" }).click();
      await page.getByRole("heading", { name: "Rollout of 0.1.0+test" }).waitFor();
      await page.getByText(hostile).first().waitFor();
      assert.equal(await page.evaluate("window.hurt"), undefined);
      assert.deepEqual(await page.locator("main button").allTextContents(), []);
      const first = page.getByRole("table").getByRole("row").nth(1);
      assert.match((await first.textContent()) ?? "", /shop.*held/s);
      await assertAccessible(page, "a rollout");
    });

    it("is approved with its plan, paused and resumed by an administrator", async () => {
      const page = await stage.visit(`/fleet/rollouts/${id}`, { scheme: "dark", width: 320 });
      await assertAccessible(page, "a rollout to approve");
      await page.getByLabel(/Also lose the data of blog/).check();
      await page.getByRole("button", { name: "Approve the plan" }).click();
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("button", { name: "Resume" }).waitFor();
      const [row] = await stage.admin(`SELECT state, data_loss_approved FROM rollouts`);
      assert.deepEqual(row, { state: "paused", data_loss_approved: true });
    });
  });

  it("has no finding of axe, light and dark, wide and narrow", async () => {
    await assertViewAccessible(stage, "/fleet", async (page) => {
      await page.getByRole("figure").first().waitFor();
      await page.getByText("Numbers").first().click();
    });
  });
});
