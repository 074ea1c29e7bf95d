import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { until } from "../../sandbox/process.ts";
import { assertAccessible, PageStage } from "../support/page.ts";

describe("the view of the fleet", function () {
  this.timeout(120_000);
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

  it("has no finding of axe, light and dark, wide and narrow", async () => {
    for (const scheme of ["light", "dark"] as const) {
      for (const width of [1280, 320]) {
        const page = await stage.visit("/fleet", { scheme, width });
        await page.getByRole("figure").first().waitFor();
        await page.getByText("Numbers").first().click();
        await assertAccessible(page, `${scheme}, ${width} px`);
        await until(async () => {
          const beyond = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth",
          );
          assert.equal(beyond, 0);
        });
      }
    }
  });
});
