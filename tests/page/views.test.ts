import assert from "node:assert/strict";
import { assertAccessible, PageStage } from "../support/page.ts";

const HOSTILE = `<img src=x onerror="window.hurt=1">`;

describe("the views of the page", function () {
  this.timeout(300_000); // the first run downloads the browser
  let stage: PageStage;
  let paths: readonly string[];

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
    paths = [
      ...["/", "/projects", "/projects/my-app", "/create", "/operations", "/audit", "/fleet"],
      ...[`/operations/${operation.id}`, "/logs/my-app", "/projects/a/b"],
    ];
  });
  after(() => stage.close());
  afterEach(() => stage.closeWindows());

  it("have no finding of axe, light and dark, wide and narrow", async () => {
    for (const path of paths) {
      for (const [scheme, width] of [
        ["light", 1280],
        ["dark", 320],
      ] as const) {
        const page = await stage.visit(path, { scheme, width });
        await page.getByRole("heading", { level: 1 }).waitFor();
        await assertAccessible(page, `${path}, ${scheme}, ${width} px`);
        const beyond = await page.evaluate(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        assert.equal(beyond, 0, `${path} scrolls sideways at ${width} px`);
        await page.context().close();
      }
    }
  });

  it("show what a tenant writes as text", async () => {
    for (const path of paths) {
      const page = await stage.visit(path);
      await page.getByRole("heading", { level: 1 }).waitFor();
      assert.equal(await page.evaluate("window.hurt"), undefined, path);
      assert.equal(await page.locator("main img").count(), 0, path);
      await page.context().close();
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
