import assert from "node:assert/strict";
import { join } from "node:path";
import { execa } from "execa";
import type { Browser, Page } from "playwright-core";
import { backendStacks } from "../../automation/engine/backend-stacks.ts";
import type { NumberedEventView } from "../../automation/service/schemas/operation.ts";
import { slugFromName } from "../../core/slug.ts";
import { projectStackName } from "../../core/stack-name.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { type Ports, reservePorts } from "../../sandbox/ports.ts";
import { until } from "../../sandbox/process.ts";
import { leftOnServers } from "../../sandbox/proofs/left-on-servers.ts";
import { type SandboxService, startService } from "../../sandbox/service.ts";
import { offerSignIn, type SignIn } from "../../sandbox/sign-in.ts";
import { collectFaults, launchBrowser } from "../support/page.ts";
import { runningSandbox } from "../support/sandbox.ts";
import { placeOf, platformStage } from "../support/stage.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";
import { uniqueSlug } from "../support/unique-slug.ts";

const SEND_LOG = join(import.meta.dirname, "../../sandbox/log.ts");
/** In ms, for an operation on a busy machine. */
const PATIENCE_MS = 180_000;

describe("the page, on real servers", function () {
  this.timeout(600_000);
  let store: TestStore;
  let ports: Ports;
  let signIn: SignIn;
  let service: SandboxService;
  let browser: Browser;
  let start: () => Promise<SandboxService>;

  before(async () => {
    await platformStage();
    store = await createTestStore();
    ports = await reservePorts();
    const port = ports.take();
    const sandbox = runningSandbox();
    const origin = `http://127.0.0.1:${port}`;
    signIn = await offerSignIn(sandbox, { origin, role: "admin" });
    const env = { ...sandbox.env, ...signIn.variables, DATABASE_URL: store.url };
    start = () => startService({ env }, { port });
    service = await start();
    browser = await launchBrowser();
  });
  after(async () => {
    await browser.close();
    await service.stop();
    await signIn.person.remove();
    ports.release();
    await store.drop();
  });

  it("lets a person who knows its address create a project, watch it, read its logs and delete it", async () => {
    const { settings, workDir } = await platformStage();
    const name = `Shop ${uniqueSlug()}`;
    const slug = slugFromName(name);
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(service.url);
    await signInAtGitea(page);
    const faults: string[] = [];
    collectFaults(page, faults);

    await page.getByRole("link", { name: "Create a project" }).click();
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByRole("button", { name: "Show the plan" }).click();
    await page.getByText(/^Created \d+ resources$/).waitFor();
    await page.getByRole("button", { name: `Create ${slug}` }).click();
    await page.getByRole("heading", { name: `up of ${slug}` }).waitFor();
    await page.getByText(/^[1-9]\d* of \d+ resources done$/).waitFor();
    await service.stop();
    service = await start();
    await succeeds(page);
    await showsEachEventOnce(page);
    await page.locator("main").getByText(`user:${signIn.person.login} (`).waitFor();

    await page.getByRole("link", { name: "Project", exact: true }).click();
    await page.getByRole("heading", { name: slug, exact: true }).waitFor();
    await page.locator(".heading .badge", { hasText: "ready" }).waitFor();
    await page.getByRole("link", { name: "logs", exact: true }).click();
    await page.getByRole("button", { name: "Live" }).click();
    await page
      .getByRole("status")
      .filter({ hasText: /; live$/ })
      .waitFor();
    await sendLogLine(slug, "the first line", "error");
    await sendLogLine(slug, "the second line", "info");
    await showsLines(page, ["the first line", "the second line"]);
    await page.getByLabel("Query").fill("level:error line");
    await page.getByRole("button", { name: "Search" }).click();
    await showsLines(page, ["the first line"]);

    await page.getByRole("link", { name: "Project", exact: true }).click();
    await page.getByRole("button", { name: "Delete …" }).click();
    const dialog = page.getByRole("dialog", { name: `Delete ${slug}` });
    await dialog.getByText(/^Deleted \d+ resources$/).waitFor();
    await dialog.getByLabel(`Type ${slug} to confirm`).fill(slug);
    await dialog.getByRole("button", { name: "Delete the project" }).click();
    await page.getByRole("heading", { name: `destroy of ${slug}` }).waitFor();
    await succeeds(page);
    await showsEachEventOnce(page);
    assert.equal(await page.getByRole("heading", { name: "What is left" }).count(), 0);
    const views = page.getByRole("navigation", { name: "Views" });
    await views.getByRole("link", { name: "Projects" }).click();
    await page.getByText("There is no project.").waitFor();

    assert.deepEqual(faults, []);
    assert.deepEqual(await leftOnServers(placeOf(settings, slug)), []);
    const stacks = (await backendStacks(workDir)).map(({ stack }) => stack);
    assert.ok(!stacks.includes(projectStackName(PLATFORM, slug)), stacks.join(", "));
  });

  async function signInAtGitea(page: Page): Promise<void> {
    const { login, password } = signIn.person;
    await page.getByRole("link", { name: /^Sign in at / }).click();
    await page.locator("#user_name").fill(login);
    await page.locator("#password").fill(password);
    await page.getByRole("button", { name: "Sign In", exact: true }).click();
    await page.getByRole("button", { name: "Authorize Application" }).click();
    await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
  }

  /** Waits for the end of the operation in view. It must succeed. */
  async function succeeds(page: Page): Promise<void> {
    const state = page.locator(".heading .badge", { hasText: /succeeded|failed|cancelled/ });
    await state.waitFor();
    assert.match(await state.innerText(), /succeeded/, await page.locator("main").innerText());
  }

  /** Compares the view of an operation with the events that the service has stored. */
  async function showsEachEventOnce(page: Page): Promise<void> {
    const id = new URL(page.url()).pathname.split("/").at(-1);
    const path = `/v1/operations/${id}/events?limit=1000`;
    const { items } = await service.call<{ items: readonly NumberedEventView[] }>("GET", path);
    const events = items.map(({ event }) => event);
    const messages = events.flatMap((event) =>
      event.event === "diagnostic" ? [event.message] : [],
    );
    assert.deepEqual(await page.locator(".messages pre").allTextContents(), messages);
    const resources = events.flatMap((event) =>
      "component" in event && !event.component ? [event.urn] : [],
    );
    const rows = page.getByRole("region", { name: "Resources" }).locator("tbody tr");
    assert.equal(await rows.count(), new Set(resources).size);
  }

  /** The pods of the sandbox run nothing, so no project writes a line by itself. */
  async function sendLogLine(slug: string, message: string, level: string): Promise<void> {
    const args = [SEND_LOG, slug, message, "--level", level];
    const { stdout } = await execa(process.execPath, args, { env: runningSandbox().env });
    assert.match(stdout, /^Sent\. /);
  }

  async function showsLines(page: Page, messages: readonly string[]): Promise<void> {
    const lines = page.getByRole("log").locator(".line .message");
    await until(async () => assert.deepEqual(await lines.allTextContents(), messages));
  }
});
