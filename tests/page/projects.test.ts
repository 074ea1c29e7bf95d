import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { until } from "../../sandbox/process.ts";
import { assertAccessible, PageStage } from "../support/page.ts";

/** A tenant can write all of these. */
const HOSTILE = `<img src=x onerror="document.title='owned'">`;

describe("the page's projects and operations", function () {
  this.timeout(300_000); // the first run downloads the browser
  let stage: PageStage;

  before(async () => {
    stage = await PageStage.open();
    await stage.addProject("my-app", HOSTILE);
    await stage.admin(`
      INSERT INTO projects (slug, platform, name, settings, outputs)
      SELECT 'app-' || lpad(n::text, 4, '0'), 'staging', 'App ' || n, '{}', '{}'
      FROM generate_series(1, 5000) n`);
  });
  after(() => stage.close());
  afterEach(() => stage.closeWindows());

  /** An operation of my-app, which a test moves on by hand. */
  async function operation(state: string, request: object): Promise<string> {
    const id = `01900000-0000-7000-8000-${randomUUID().slice(24)}`; // older than the service's own
    const { kind } = request as { kind: string };
    await stage.admin(`
      INSERT INTO operations (id, platform, slug, kind, request, settings, state, actor, started_at)
      VALUES ('${id}', 'staging', 'my-app', '${kind}', '${JSON.stringify(request)}', '{}', '${state}',
              'rdev', now())`);
    return id;
  }

  async function addEvents(id: string, from: number, events: readonly object[]): Promise<void> {
    for (const [index, event] of events.entries()) {
      await stage.admin(`
        INSERT INTO operation_events (operation_id, number, at, event)
        VALUES ('${id}', ${from + index}, now(), '${JSON.stringify(event).replaceAll("'", "''")}')`);
    }
    const last = from + events.length - 1;
    await stage.admin(`UPDATE operations SET last_event = ${last} WHERE id = '${id}'`);
  }

  async function end(id: string, state: string, errors: readonly object[] = []): Promise<void> {
    const changes = { create: 1, update: 0, replace: 0, delete: 0, same: 0 };
    const outcome = { result: state, changes, outputs: {}, durationMs: 1_000, errors };
    await stage.admin(`
      UPDATE operations SET state = '${state}', ended_at = now(),
        outcome = '${JSON.stringify(outcome).replaceAll("'", "''")}' WHERE id = '${id}'`);
  }

  const step = (event: string, name: string, op = "create") => ({
    ...{
      event,
      urn: `urn:pulumi:s::p::t::${name}`,
      type: "pulumi-nodejs:dynamic/gitea:Repository",
    },
    ...{ name, op, component: false, durationMs: 700 },
  });

  it("lists 5,000 projects by pages, with search and order in the address", async () => {
    const page = await stage.visit("/projects");
    await page.locator(".pages").getByText("5,001 projects").waitFor();
    assert.equal(await page.locator("tbody tr").count(), 50);
    await page.getByRole("link", { name: "Next page" }).click();
    await page.getByRole("rowheader", { name: "app-0051" }).waitFor();
    await page.getByLabel("Slug or name").fill("app 499");
    await page.locator(".pages").getByText("11 projects").waitFor();
    await until(async () => assert.equal(new URL(page.url()).search, "?search=app+499"));
    await page.getByRole("link", { name: "Project", exact: false }).first().waitFor();
    await page.reload();
    await page.locator(".pages").getByText("11 projects").waitFor();
    await page.getByRole("columnheader", { name: "Name" }).getByRole("link").click();
    assert.equal(new URL(page.url()).searchParams.get("sort"), "name");
  });

  it("shows a tenant's texts as texts", async () => {
    const id = await operation("failed", { kind: "up", settings: {}, onFailure: "keep" });
    await addEvents(id, 1, [
      step("resourceFailed", HOSTILE),
      { event: "diagnostic", severity: "error", message: HOSTILE },
    ]);
    await end(id, "failed", [{ message: HOSTILE, code: "RDEV_ENGINE" }]);
    const views = [
      "/projects?search=my-app",
      "/projects/my-app",
      "/projects/my-app?show=resources",
      "/projects/my-app?show=operations",
      `/operations/${id}`,
    ];
    for (const view of views) {
      const page = await stage.visit(view);
      await page.getByText("onerror").first().waitFor();
      assert.equal(await page.locator("main img").count(), 0, view);
      assert.doesNotMatch(await page.title(), /owned/);
    }
  });

  it("shows an operation live, without a gap or a doubled line after lost connections", async () => {
    const id = await operation("running", { kind: "up", settings: {}, onFailure: "keep" });
    await addEvents(id, 1, [
      { event: "state", state: "running", attempts: 1 },
      step("resourceStarted", "repository"),
      { event: "diagnostic", severity: "info", message: "line 1" },
    ]);
    const page = await stage.visit(`/operations/${id}`);
    await page.getByText("line 1", { exact: true }).waitFor();
    await page.getByText("0 of 1 resource done").waitFor();
    await page.context().setOffline(true);
    await addEvents(id, 4, [
      step("resourceDone", "repository"),
      { event: "diagnostic", severity: "info", message: "line 2" },
    ]);
    await page.context().setOffline(false);
    await page.getByText("1 of 1 resource done").waitFor();
    await page.reload();
    await page.getByText("line 2", { exact: true }).waitFor();
    await addEvents(id, 6, [{ event: "state", state: "succeeded", attempts: 1 }]);
    await end(id, "succeeded");
    await page.locator("main .badge", { hasText: "succeeded" }).waitFor();
    assert.deepEqual(await page.locator(".messages pre").allTextContents(), ["line 1", "line 2"]);
  });

  it("creates a project after its plan, and deletes it after a typed slug", async () => {
    const page = await stage.visit("/projects");
    await page.getByRole("link", { name: "Create a project" }).click();
    const name = page.getByLabel("Name", { exact: true });
    await name.fill("!!");
    await page.getByText("gives no valid slug").waitFor();
    await name.fill("My App");
    await page.getByText("A project my-app exists already.").waitFor();
    await name.fill("New Shop");
    await page.getByText("new-shop").waitFor();
    await page.getByRole("button", { name: "Show the plan" }).click();
    const create = page.getByRole("button", { name: "Create new-shop" });
    assert.ok(await create.isDisabled());
    const [preview] = await stage.operations.list({ limit: 1 });
    assert.equal(preview?.request.kind, "preview");
    await addEvents(preview.id, 2, [step("resourceDone", "new-shop")]);
    await end(preview.id, "succeeded");
    await page.getByText("Created 1 resource").waitFor();
    await create.click();
    await page.getByRole("heading", { name: "up of new-shop" }).waitFor();
    const [up] = await stage.operations.list({ limit: 1 });
    assert.equal(up?.request.kind, "up");
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.locator("main .badge", { hasText: "cancelled" }).waitFor();

    await page.goto(`${stage.url}/projects/my-app`);
    await page.getByRole("button", { name: "Delete …" }).click();
    const dialog = page.getByRole("dialog", { name: "Delete my-app" });
    const remove = dialog.getByRole("button", { name: "Delete the project" });
    await until(async () => {
      const [newest] = await stage.operations.list({ limit: 1, slugs: ["my-app"] });
      assert.equal(newest?.request.kind, "preview");
    });
    const [plan] = await stage.operations.list({ limit: 1, slugs: ["my-app"] });
    await addEvents(plan!.id, 2, [step("resourceDone", "my-app", "delete")]);
    await end(plan!.id, "succeeded");
    await dialog.getByText("Deleted 1 resource").waitFor();
    await assertAccessible(page, "delete dialog");
    await dialog.getByLabel("Archive the repository").check();
    await dialog.getByText("the repository, archived").waitFor();
    await dialog.getByText("Nothing would change.").waitFor();
    await dialog.getByLabel("Type my-app to confirm").fill("my-ap");
    assert.ok(await remove.isDisabled());
    await dialog.getByLabel("Type my-app to confirm").fill("my-app");
    await remove.click();
    await page.getByRole("heading", { name: "destroy of my-app" }).waitFor();
    const [destroy] = await stage.operations.list({ limit: 1, slugs: ["my-app"] });
    assert.deepEqual(destroy?.request, {
      ...{ kind: "destroy", retainData: false, retainRepository: true },
    });
    await stage.operations.cancel(destroy.id, "test");
  });

  it("shows what others changed in a project, and since when", async () => {
    const urn = "urn:pulumi:s::p::gitea:Repository::settings";
    const properties = [{ path: "spec.replicas", kind: "update", replaces: false }];
    const change = { op: "update", urn, type: "gitea:Repository", name: HOSTILE, properties };
    const by = [{ manager: "kubectl-edit" }];
    const changes = [{ ...change, moreProperties: 0, by, since: new Date().toISOString() }];
    await stage.admin(`
      INSERT INTO drift (slug, checked_at, changes, fixable_by)
      VALUES ('app-0001', now(), '${JSON.stringify(changes).replaceAll("'", "''")}', 'updates')`);
    const page = await stage.visit("/projects?search=app-0001");
    await page.getByRole("cell", { name: "drifted" }).waitFor();
    await page.getByRole("link", { name: "app-0001" }).click();
    const row = page.getByRole("region", { name: "Drift" }).getByRole("row").last();
    await row.getByText("spec.replicas").waitFor();
    assert.match((await row.textContent()) ?? "", /onerror.*changed.*kubectl-edit/s);
    await assertAccessible(page, "a project with drift");
  });

  it("shows a viewer no button that would be refused", async () => {
    for (const path of ["/projects", "/projects/my-app", "/operations", "/create"]) {
      const page = await stage.visit(path, { role: "viewer" });
      await page.getByRole("heading", { level: 1 }).waitFor();
      const buttons = await page.getByRole("button").allTextContents();
      assert.deepEqual(buttons, ["Sign out"], path);
      assert.equal(await page.getByRole("link", { name: "Audit" }).count(), 0);
    }
  });

  it("signs in with a pasted key, which ends with the tab, and by keyboard alone", async () => {
    const page = await stage.visit("/projects?search=my-app", { role: "nobody" });
    await page.getByLabel("API key").fill("rdk_wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await page.getByLabel("API key").fill(await stage.key("viewer"));
    await page.keyboard.press("Enter");
    await page.getByRole("rowheader", { name: "my-app" }).waitFor();
    await page.getByRole("link", { name: "my-app" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "my-app", level: 1 }).waitFor();
    await until(async () => {
      assert.equal(await page.evaluate("document.activeElement.tagName"), "H1");
    });
    assert.equal(await page.evaluate("localStorage.length"), 0);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("API key").waitFor();
  });
});
