import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Request } from "playwright-core";
import { until } from "../../sandbox/process.ts";
import { focused, tabTo } from "../support/keyboard.ts";
import { assertAccessible, hide, PageStage } from "../support/page.ts";

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
    // None of these projects has logs.
    assert.equal(await page.getByRole("columnheader", { name: "Errors" }).count(), 0);
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

  it("asks for the caller and the list once each, while the modules are still loaded", async () => {
    const page = await stage.visit("/healthz");
    const asked: string[] = [];
    page.on("request", (request) => {
      const { pathname } = new URL(request.url());
      if (/^.(v1|auth)./.test(pathname)) asked.push(pathname);
    });
    const held = Promise.withResolvers<void>();
    await page.route("**/page/main.ts", async (route) => {
      await held.promise;
      return route.continue();
    });
    const list = page.waitForResponse("**/v1/projects?search=app-0042&*");
    await page.goto(`${stage.url}/projects?search=app-0042`, { waitUntil: "commit" });
    await list;
    held.resolve();
    await page.getByRole("link", { name: "app-0042" }).waitFor();
    assert.deepEqual(asked.slice(0, 2), ["/auth/me", "/v1/projects"]);
    assert.equal(asked.filter((path) => path !== "/v1/logs/errors").length, 2);
  });

  it("begins no list for a visitor who has not signed in", async () => {
    const page = await stage.visit("/healthz", { role: "nobody" });
    const refused: string[] = [];
    page.on("response", (response) => {
      if (response.status() >= 400) refused.push(new URL(response.url()).pathname);
    });
    await page.goto(stage.url);
    await page.getByLabel("API key").waitFor();
    assert.deepEqual(refused, ["/auth/me"]);
  });

  it("shows the errors of the shown projects, with one request, and the list without Citadel", async () => {
    const asked: string[] = [];
    const page = await stage.visit("/healthz");
    page.on("request", (request) => {
      if (request.url().includes("/v1/logs/errors")) asked.push(request.url());
    });
    await page.goto(`${stage.url}/projects?search=my-app`);
    await page.getByRole("columnheader", { name: "Errors, 1 h" }).waitFor();
    assert.deepEqual(asked, [`${stage.url}/v1/logs/errors?slugs=my-app`]);
    await page.route("**/v1/logs/errors*", (route) => route.fulfill({ json: { items: [] } }));
    await page.reload();
    await page.getByRole("rowheader", { name: "my-app" }).waitFor();
    assert.equal(await page.getByRole("columnheader", { name: "Errors" }).count(), 0);
  });

  it("shows an operation live, hidden and after lost connections, without a gap or a doubled line", async () => {
    const id = await operation("running", { kind: "up", settings: {}, onFailure: "keep" });
    await addEvents(id, 1, [
      { event: "state", state: "running", attempts: 1 },
      step("resourceStarted", "repository"),
      { event: "diagnostic", severity: "info", message: "line 1" },
    ]);
    const page = await stage.visit(`/operations/${id}`);
    await page.getByText("line 1", { exact: true }).waitFor();
    await page.getByText("0 of 1 resource done").waitFor();
    const connect = await stage.disconnect(page);
    await page.getByText("connecting again").waitFor();
    await addEvents(id, 4, [
      step("resourceDone", "repository"),
      { event: "diagnostic", severity: "info", message: "line 2" },
    ]);
    await connect();
    await page.getByText("1 of 1 resource done").waitFor();
    const show = await hide(page);
    await addEvents(id, 6, [{ event: "diagnostic", severity: "info", message: "line 3" }]);
    await page.getByText("line 3", { exact: true }).waitFor();
    await show();
    await page.reload();
    await page.getByText("line 2", { exact: true }).waitFor();
    await addEvents(id, 7, [{ event: "state", state: "succeeded", attempts: 1 }]);
    await end(id, "succeeded");
    await page.locator("main .badge", { hasText: "succeeded" }).waitFor();
    const lines = await page.locator(".messages pre").allTextContents();
    assert.deepEqual(lines, ["line 1", "line 2", "line 3"]);
  });

  it("creates a project after its plan, and deletes it after a typed slug, by keyboard alone", async () => {
    const page = await stage.visit("/projects");
    const { keyboard } = page;
    const title = (name: string) => page.getByRole("heading", { level: 1, name, exact: true });
    const newest = async () => (await stage.operations.list({ limit: 1 }))[0] ?? assert.fail();
    const sent: string[] = [];
    page.on("request", (request) => sent.push(`${request.method()} ${request.url()}`));
    const pressTwice = async () => {
      await keyboard.press("Enter");
      await keyboard.press("Enter");
    };

    await tabTo(page, page.getByRole("link", { name: "Create a project" }));
    await keyboard.press("Enter");
    await focused(title("Create a project"));
    const name = page.getByLabel("Name", { exact: true });
    await tabTo(page, name);
    for (const [text, answer] of [
      ["!!", "gives no valid slug"],
      ["My App", "A project my-app exists already."],
      ["New Shop", "new-shop"],
    ] as const) {
      await keyboard.press("ControlOrMeta+A");
      await keyboard.type(text);
      await page.locator("#slug").getByText(answer).waitFor();
    }
    await keyboard.press("Enter");
    const create = page.getByRole("button", { name: "Create new-shop" });
    await create.waitFor();
    assert.ok(await create.isDisabled());
    const preview = await newest();
    assert.equal(preview.request.kind, "preview");
    await addEvents(preview.id, 2, [step("resourceDone", "new-shop")]);
    await end(preview.id, "succeeded");
    await page.getByText("Created 1 resource").waitFor();
    await focused(name);
    await tabTo(page, create);
    await pressTwice();
    await focused(title("up of new-shop"));
    assert.equal((await newest()).request.kind, "up");
    await tabTo(page, page.getByRole("button", { name: "Cancel" }));
    await keyboard.press("Enter");
    await page.locator("main .badge", { hasText: "cancelled" }).waitFor();
    await focused(title("up of new-shop"));

    await page.goto(`${stage.url}/projects/my-app`);
    const open = page.getByRole("button", { name: "Delete …" });
    await tabTo(page, open);
    await keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Delete my-app" });
    await focused(dialog.getByRole("heading", { name: "Delete my-app" }));
    await dialog.getByText("The plan is being made").waitFor(); // else its preview could begin later
    await keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" }); // else it would open no second one
    await focused(open);
    const before = await newest();
    await keyboard.press("Enter");
    await until(async () => assert.notEqual((await newest()).id, before.id));
    const plan = await newest();
    assert.equal(plan.request.kind, "preview");
    await addEvents(plan.id, 2, [step("resourceDone", "my-app", "delete")]);
    await end(plan.id, "succeeded");
    await dialog.getByText("Deleted 1 resource").waitFor();
    await tabTo(page, dialog.getByLabel("Archive the repository"));
    await keyboard.press("Space");
    await dialog.getByText("the repository, archived").waitFor();
    await dialog.getByText("Nothing would change.").waitFor();
    await tabTo(page, dialog.getByLabel("Type my-app to confirm"));
    await keyboard.type("my-ap");
    assert.ok(await dialog.getByRole("button", { name: "Delete the project" }).isDisabled());
    await keyboard.type("p");
    await pressTwice();
    await focused(title("destroy of my-app"));
    const destroy = await newest();
    assert.deepEqual(destroy.request, {
      ...{ kind: "destroy", retainData: false, retainRepository: true },
    });
    const writes = sent.filter((each) => /^POST .*projects$|^DELETE .*retainData/.test(each));
    assert.deepEqual(
      writes.map((each) => each.split(" ")[0]),
      ["POST", "DELETE"],
    );
    await stage.operations.cancel(destroy.id, "test");
  });

  /** The dialog of a deletion whose plan is being made. */
  const askedToDelete = async () => {
    const page = await stage.visit("/projects/my-app");
    await page.getByRole("button", { name: "Delete …" }).click();
    const dialog = page.getByRole("dialog", { name: "Delete my-app" });
    await dialog.getByText("The plan is being made").waitFor();
    const [plan] = await stage.operations.list({ limit: 1 });
    assert.ok(plan);
    return { page, dialog, plan };
  };

  it("deletes a project whose plan failed, and shows why it failed and what is on record", async () => {
    const up = await operation("succeeded", { kind: "up", settings: {}, onFailure: "keep" });
    await addEvents(up, 1, [step("resourceDone", "half-made")]);
    await end(up, "failed");
    const { page, dialog, plan } = await askedToDelete();
    await dialog.getByLabel("Type my-app to confirm").fill("my-app");
    const remove = dialog.getByRole("button", { name: "Delete the project" });
    assert.ok(await remove.isDisabled());
    const failure = { code: "RDEV_ENGINE", message: "the state names an unknown provider" };
    await end(plan.id, "failed", [failure]);
    await dialog.getByText(failure.message).waitFor();
    await dialog.getByText("half-made").waitFor();
    await remove.click();
    await page.getByRole("heading", { level: 1, name: "destroy of my-app" }).waitFor();
    const [destroy] = await stage.operations.list({ limit: 1 });
    assert.equal(destroy?.request.kind, "destroy");
    await stage.operations.cancel(destroy.id, "test");
  });

  it("deletes a project whose plan hangs, once a person has cancelled the plan", async () => {
    const { page, dialog, plan } = await askedToDelete();
    await stage.admin(`UPDATE operations SET state = 'running' WHERE id = '${plan.id}'`);
    await dialog.getByLabel("Type my-app to confirm").fill("my-app");
    const remove = dialog.getByRole("button", { name: "Delete the project" });
    assert.ok(await remove.isDisabled());
    await dialog.getByRole("button", { name: "Cancel the plan" }).press("Enter");
    await dialog.getByText("cancelling").waitFor();
    await focused(dialog.getByRole("heading", { name: "Delete my-app" }));
    await assertAccessible(page, "a deletion whose plan is cancelled");
    assert.equal((await stage.operations.find(plan.id))?.state, "cancelling");
    // The worker is killed only after a while, so the destroy waits for it, and not the person.
    await remove.click();
    await page.getByRole("heading", { level: 1, name: "destroy of my-app" }).waitFor();
    const [destroy] = await stage.operations.list({ limit: 1 });
    assert.equal(destroy?.request.kind, "destroy");
    await end(plan.id, "cancelled");
    await stage.operations.cancel(destroy.id, "test");
  });

  it("cancels previews that nobody waits for, so that no operation waits for them", async () => {
    const page = await stage.visit("/create");
    const cancelled = (slug: string, count: number) =>
      until(async () => {
        const found = await stage.operations.list({ limit: 10, slugs: [slug] });
        const states = found.map(({ request, state }) => `${request.kind} ${state}`);
        assert.deepEqual(states, Array(count).fill("preview cancelled"));
      });
    const making = page.getByText("The plan is being made");
    await page.getByLabel("Name", { exact: true }).fill("Other Shop");
    await page.getByRole("button", { name: "Show the plan" }).click();
    await page.getByRole("button", { name: "Cancel the plan" }).click();
    await page.locator("main .badge", { hasText: "cancelled" }).waitFor();
    assert.ok(await page.getByRole("button", { name: "Create other-shop" }).isDisabled());
    await cancelled("other-shop", 1);

    await page.getByRole("button", { name: "Show the plan" }).click();
    await making.waitFor();
    await page.getByLabel("Name", { exact: true }).fill("Other Shops");
    await cancelled("other-shop", 2);

    await page.goto(`${stage.url}/projects/app-0003`);
    await page.getByRole("button", { name: "Delete …" }).click();
    await making.waitFor();
    await page.keyboard.press("Escape");
    await cancelled("app-0003", 1);
  });

  it("keeps what a person types while an earlier search begins", async () => {
    const page = await stage.visit("/projects");
    const field = page.getByLabel("Slug or name");
    await field.waitFor();
    // A key is pressed at the moment when the search for what was typed before begins.
    await page.evaluate(`{
      const replace = history.replaceState.bind(history);
      history.replaceState = (...args) => {
        history.replaceState = replace;
        replace(...args);
        const field = document.querySelector("input[type=search]");
        field.value += "99";
        field.dispatchEvent(new InputEvent("input", { bubbles: true }));
      };
    }`);
    await field.fill("app 49");
    await page.locator(".pages").getByText("1 project", { exact: true }).waitFor();
    assert.equal(await field.inputValue(), "app 4999");
  });

  it("gives up an older search, so that its answer cannot come after the newer one", async () => {
    const page = await stage.visit("/projects");
    const isOlder = (request: Request) => /search=app\+12&/.test(request.url());
    await page.route("**/v1/projects?*search=app+12&*", () => undefined); // no answer
    const [asked, givenUp] = [
      page.waitForRequest(isOlder),
      page.waitForEvent("requestfailed", isOlder),
    ];
    await page.getByLabel("Slug or name").fill("app 12");
    await asked;
    await page.getByLabel("Slug or name").fill("app 1234");
    await page.locator(".pages").getByText("1 project", { exact: true }).waitFor();
    await givenUp;
  });

  it("signs in with a pasted key, which ends with the tab, and by keyboard alone", async () => {
    const page = await stage.visit("/projects?search=my-app", { role: "nobody" });
    await page.getByLabel("API key").fill("rdk_wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await page.getByLabel("API key").fill(await stage.key("viewer"));
    await page.keyboard.press("Enter");
    await focused(page.getByRole("heading", { name: "Projects", level: 1 }));
    await tabTo(page, page.getByRole("link", { name: "my-app" }));
    await page.keyboard.press("Enter");
    await focused(page.getByRole("heading", { name: "my-app", level: 1 }));
    assert.equal(await page.evaluate("localStorage.length"), 0);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("API key").waitFor();
  });
});
