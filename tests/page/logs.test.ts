import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { type CitadelEvent, LEVELS } from "../../providers/citadel/port.ts";
import { until } from "../../sandbox/process.ts";
import { focused, tabTo } from "../support/keyboard.ts";
import { assertAccessible, hide, PageStage } from "../support/page.ts";

const MINUTE = 60_000;
const HOSTILE = `<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>"'\u001b[31mred`;

describe("the view of logs", function () {
  this.timeout(300_000); // the first run downloads the browser
  let stage: PageStage;
  let tenant: string;

  before(async () => {
    stage = await PageStage.open();
    tenant = await stage.addProject("my-app", "My App");
    await stage.addProject("other");
  });
  after(() => stage.close());
  afterEach(() => stage.closeWindows());

  const line = (message: string, ago = 0, more: Partial<CitadelEvent> = {}): CitadelEvent => ({
    message,
    level: "info",
    timestamp: new Date(Date.now() - ago).toISOString(),
    service: "my-app",
    environment: "staging",
    target: "web",
    ...more,
  });
  const ingest = (...events: CitadelEvent[]) => stage.citadel.ingest(tenant, events);
  const rows = (page: Page) => page.getByRole("log").locator(".line .message");
  const shown = async (page: Page, messages: readonly string[]) =>
    until(async () => assert.deepEqual(await rows(page).allTextContents(), messages));

  it("finds the lines of a query, opens one, and leads to others with the same value", async () => {
    const path = "/find/1";
    await ingest(
      line("find one", 3 * MINUTE, { level: "error", fields: { path, component: "http" } }),
      line("find two", 2 * MINUTE, { fields: { path } }),
      line("find three", MINUTE, { level: "error", fields: { path: "/find/2" } }),
    );
    const page = await stage.visit("/logs/my-app");
    await page.getByLabel("Query").fill("find level:error");
    await page.getByRole("button", { name: "Search" }).click();
    await shown(page, ["find one", "find three"]);
    assert.equal(new URL(page.url()).searchParams.get("q"), "find level:error");
    await page.getByRole("log").getByText("find one").click();
    const open = page.getByRole("region", { name: "The open line" });
    await open.getByText(path, { exact: true }).waitFor();
    await open.getByRole("link", { name: `only these with path ${path}` }).click();
    await shown(page, ["find one"]);
    await page.goBack();
    await shown(page, ["find one", "find three"]);
  });

  it("shows a mistake in the query at its place", async () => {
    const page = await stage.visit("/logs/my-app?q=level%3Aerror+AND+%28");
    const alert = page.getByRole("alert");
    await alert.getByText("RDEV_QUERY").waitFor();
    assert.equal(await alert.locator("pre").textContent(), `level:error AND (\n${" ".repeat(17)}^`);
    const input = page.getByLabel("Query");
    assert.equal(await input.getAttribute("aria-invalid"), "true");
    assert.equal(await page.locator("input:focus").getAttribute("name"), "q");
    await assertAccessible(page, "a mistake");
  });

  it("keeps what a person types while lines arrive", async () => {
    await ingest(line("typing 1"));
    const page = await stage.visit("/logs/my-app?q=typing&live=1");
    await shown(page, ["typing 1"]);
    await page.getByLabel("Query").fill("typing level:error");
    await page.getByLabel("Time").selectOption("6h");
    await ingest(line("typing 2"));
    await shown(page, ["typing 1", "typing 2"]);
    assert.equal(await page.getByLabel("Query").inputValue(), "typing level:error");
    assert.equal(await page.getByLabel("Time").inputValue(), "6h");
  });

  it("leads from the histogram to the lines of a bar", async () => {
    await ingest(line("bar before", 40 * MINUTE), line("bar", 20 * MINUTE, { level: "warn" }));
    const page = await stage.visit("/logs/my-app?q=bar");
    await shown(page, ["bar before", "bar"]);
    await page.getByRole("link", { name: /1 warn/ }).click();
    await shown(page, ["bar"]);
    const { searchParams } = new URL(page.url());
    const length = Date.parse(searchParams.get("before")!) - Date.parse(searchParams.get("from")!);
    assert.ok(length > MINUTE && length < 4 * MINUTE, `${length}`);
    await page.getByLabel("Time").selectOption("6h");
    await page.getByRole("button", { name: "Search" }).click();
    await shown(page, ["bar before", "bar"]);
  });

  it("follows new lines, pauses, and goes on in a hidden tab and after a lost connection, each line once", async () => {
    await ingest(line("tail 1"));
    const page = await stage.visit("/logs/my-app?q=tail");
    await shown(page, ["tail 1"]);
    await page.getByRole("button", { name: "Live" }).click();
    const status = page.getByRole("status").filter({ hasText: "line" });
    await status.filter({ hasText: "live" }).waitFor();
    await ingest(line("tail 2"));
    await shown(page, ["tail 1", "tail 2"]);

    await page.getByRole("button", { name: "Pause" }).click();
    await ingest(line("tail 3"), line("tail 4"));
    await status.filter({ hasText: "paused, 2 new lines" }).waitFor();
    await shown(page, ["tail 1", "tail 2"]);
    await page.getByRole("button", { name: "Resume" }).click();
    await shown(page, ["tail 1", "tail 2", "tail 3", "tail 4"]);

    stage.citadelServer.cutTails();
    await ingest(line("tail 5"));
    await shown(page, ["tail 1", "tail 2", "tail 3", "tail 4", "tail 5"]);

    const connect = await stage.disconnect(page);
    await status.filter({ hasText: "connection lost, connecting again" }).waitFor();
    await ingest(line("tail 6"));
    await connect();
    const tail = (count: number) => Array.from({ length: count }, (_, at) => `tail ${at + 1}`);
    await shown(page, tail(6));

    const show = await hide(page);
    await ingest(line("tail 7"));
    await shown(page, tail(7));
    await (
      await stage.disconnect(page)
    )();
    await ingest(line("tail 8"));
    await shown(page, tail(8));
    await show();
    await ingest(line("tail 9"));
    await shown(page, tail(9));
    await page.reload();
    await shown(page, tail(9));
    await status.filter({ hasText: "live" }).waitFor();
  });

  it("makes a link to the time that is shown, and downloads the lines", async () => {
    await ingest(line("file 1", 2 * MINUTE), line("file 2", MINUTE));
    const page = await stage.visit("/logs/my-app?q=file");
    await shown(page, ["file 1", "file 2"]);
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download" }).click();
    const file = await download;
    assert.equal(file.suggestedFilename(), "my-app-logs.ndjson");
    const lines = (await readFile(await file.path(), "utf8")).trimEnd().split("\n");
    assert.deepEqual(
      lines.map((text) => (JSON.parse(text) as { readonly message: string }).message),
      ["file 1", "file 2"],
    );
    await page.getByRole("button", { name: "Copy link" }).click();
    await until(() => assert.match(page.url(), /from=.*before=/));
    await ingest(line("file 3"));
    const other = await stage.visit(page.url().replace(stage.url, ""));
    await shown(other, ["file 1", "file 2"]);
  });

  it("shows whatever a tenant logs as text", async () => {
    await ingest(
      line(`hostile ${HOSTILE}`, 0, {
        service: HOSTILE,
        fields: { [HOSTILE]: HOSTILE, link: "javascript:window.hurt=1" },
      }),
    );
    const page = await stage.visit(`/logs/my-app?q=hostile`);
    await rows(page).filter({ hasText: "hostile <img src=x" }).click();
    await page
      .getByRole("region", { name: "The open line" })
      .getByText("javascript:window.hurt=1", { exact: true })
      .waitFor();
    assert.equal(await page.locator("main img, main script, a[href^=javascript]").count(), 0);
    assert.equal(await page.evaluate("window.hurt"), undefined);
    const mistake = await stage.visit(`/logs/my-app?q=${encodeURIComponent(`(${HOSTILE}`)}`);
    await mistake.getByRole("alert").waitFor();
    assert.equal(await mistake.evaluate("window.hurt"), undefined);
  });

  it("stays quick with 100,000 lines, of which only the visible ones are in the document", async () => {
    const items = Array.from({ length: 100_000 }, (_, at) => ({
      id: at === 0 ? "0" : `many-${at}`, // the tail continues after the newest
      timestamp: new Date(Date.now() - at * 10).toISOString(),
      level: LEVELS[at % 5],
      service: "my-app",
      message: `line ${100_000 - at}`,
      fields: {},
    }));
    const page = await stage.visit("/logs/other");
    await page.route("**/logs?*", (route) => route.fulfill({ json: { items, total: 100_000 } }));
    await page.goto(`${stage.url}/logs/my-app?q=many`);
    await rows(page)
      .filter({ hasText: /^line 100000$/ })
      .waitFor();
    assert.ok((await page.locator(".line").count()) < 100);
    await page.getByRole("log").focus();
    await page.keyboard.press("Home");
    await rows(page)
      .filter({ hasText: /^line 1$/ })
      .waitFor();
    // The test scrolls to 50 places of the list. The nodes drawn for a scroll must not grow with the list.
    const most = await page.evaluate<number>(`(async () => {
      const list = document.querySelector("[role=log]");
      const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
      let drawn = 0;
      let most = 0;
      new MutationObserver((changes) => {
        for (const { addedNodes } of changes) drawn += addedNodes.length;
      }).observe(list, { childList: true, subtree: true });
      for (let at = 1; at <= 50; at += 1) {
        list.scrollTop = (list.scrollHeight / 50) * at;
        await frame();
        await frame();
        most = Math.max(most, drawn);
        drawn = 0;
      }
      return most;
    })()`);
    assert.ok(most > 0 && most < 200, `${most} nodes are drawn for a scroll`);
    // The list is full and at its end, so each new line drops the oldest one and is scrolled to.
    await page.getByRole("button", { name: "Live" }).click();
    await page.getByRole("status").filter({ hasText: "live" }).waitFor();
    await ingest(...Array.from({ length: 60 }, (_, at) => line(`many new ${at}`, 60 - at)));
    await rows(page)
      .filter({ hasText: /^many new 59$/ })
      .waitFor();
    await ingest(...Array.from({ length: 60 }, (_, at) => line(`many newer ${at}`, 60 - at)));
    await rows(page)
      .filter({ hasText: /^many newer 59$/ })
      .waitFor();
  });

  it("loads older lines when a person scrolls up, and stays where it was", async () => {
    const events = Array.from({ length: 700 }, (_, at) =>
      line(`older ${at}`, 30 * MINUTE - at * 1000),
    );
    await ingest(...events);
    const page = await stage.visit("/logs/my-app?q=older");
    const status = page.getByRole("status").filter({ hasText: "line" });
    await status.filter({ hasText: "500 of 700 lines" }).waitFor();
    await page.evaluate("document.querySelector('[role=log]').scrollTop = 200");
    await status.filter({ hasText: /^700 lines/ }).waitFor();
    // 500 lines were loaded, so "older 200" was the first one, 200 px above the visible ones.
    await rows(page)
      .filter({ hasText: /^older 209$/ })
      .waitFor();
    const top = await page.evaluate("document.querySelector('[role=log]').scrollTop");
    assert.equal(top, 200 * 22 + 200);
  });

  it("is used with the keyboard alone", async () => {
    await ingest(line("keys 1", 3), line("keys 2", 2, { level: "error" }), line("keys 3", 1));
    const page = await stage.visit("/logs/my-app");
    const query = page.getByLabel("Query");
    await tabTo(page, query);
    await page.keyboard.type("keys");
    await page.keyboard.press("Enter");
    await shown(page, ["keys 1", "keys 2", "keys 3"]);
    await focused(query);
    await tabTo(page, page.getByRole("log"));
    await page.keyboard.press("ArrowUp");
    const open = page.getByRole("region", { name: "The open line" });
    await open.getByText("keys 3").waitFor();
    await page.keyboard.press("ArrowUp");
    await open.getByText("keys 2").waitFor();
    await page.keyboard.press("Escape");
    await open.waitFor({ state: "detached" });
  });

  it("shows a person who is bound to a project only its logs", async () => {
    await ingest(line("mine"));
    const mine = await stage.visit("/logs/my-app?q=mine", { role: "viewer", project: "my-app" });
    await shown(mine, ["mine"]);
    const other = await stage.visit("/logs/other", { role: "viewer", project: "my-app" });
    await other.getByRole("alert").getByText("RDEV_ROLE").waitFor();
  });
});
