import type { Page } from "playwright-core";
import { auditLog } from "../../automation/audit/log.ts";
import { jsonText } from "../../automation/store/schema.ts";
import { rolloutRequest } from "../../core/rollout.ts";
import { LEVELS } from "../../providers/citadel/port.ts";
import type { PageStage } from "./page.ts";

/** Stands for every text that a tenant or a caller can write. */
export const HOSTILE = `<img src=x onerror="window.hurt=1">`;

/** So long ago that the page shows the date, which does not change. */
const AT = "2026-01-02T03:04:05.678Z";
const HOUR_BEFORE = "2026-01-02T02:30:00.000Z";
const HOUR_AFTER = "2026-01-02T03:30:00.000Z";

const UP = "01900000-0000-7000-8000-000000000001";
const PREVIEW = "01900000-0000-7000-8000-000000000002";
const DESTROY_PREVIEW = "01900000-0000-7000-8000-000000000003";
const ROLLOUT = "01900000-0000-7000-8000-000000000004";

/** One view as a person sees it, in one state. */
export interface PageView {
  /** The name of its file in tests/page/aria/. */
  readonly name: string;
  readonly path: string;
  /** A text that shows that the view is complete. */
  readonly text: string;
  /** The part that is compared with the file. Default: `main`. */
  readonly part?: string;
  /** For everybody who has not signed in. Default: an administrator. */
  readonly isOpen?: boolean;
  /** Brings the view into the state. Only for an administrator. */
  readonly prepare?: (page: Page) => Promise<unknown>;
  /** The buttons that a viewer sees. Default: none. */
  readonly forViewer?: readonly string[];
  /** Those that an operator sees besides. Default: none. */
  readonly forOperator?: readonly string[];
  /** Those that an approver sees after these. Default: none. */
  readonly forApprover?: readonly string[];
}

const ON_PROJECT = ["Check for drift", "Fix drift …", "Preview", "Try again", "Stop …"];
const ON_LOGS = ["Live", "Copy link", "Download", "Search"];

/** All views of the page. */
export const PAGE_VIEWS_SHOWN: readonly PageView[] = [
  {
    name: "projects",
    path: "/",
    text: "my-app",
    part: "#app",
    prepare: (page) => page.getByRole("columnheader", { name: "Errors, 1 h" }).waitFor(),
  },
  { name: "project", path: "/projects/my-app", text: "kubectl-edit", forOperator: ON_PROJECT },
  {
    name: "project-resources",
    path: "/projects/my-app?show=resources",
    text: "Last step",
    forOperator: ON_PROJECT,
  },
  {
    name: "project-operations",
    path: "/projects/my-app?show=operations",
    text: "no room",
    forOperator: ON_PROJECT,
  },
  {
    name: "project-audit",
    path: "/projects/my-app?show=audit",
    text: "project.create",
    forOperator: ON_PROJECT,
  },
  {
    name: "delete",
    path: "/projects/my-app",
    text: "kubectl-edit",
    part: "dialog",
    async prepare(page) {
      await page.getByRole("button", { name: "Delete …" }).click();
      await page.getByRole("dialog").getByText("Deleted 1 resource").waitFor();
    },
    forOperator: ON_PROJECT,
  },
  {
    name: "stop",
    path: "/projects/my-app",
    text: "kubectl-edit",
    part: "dialog",
    prepare: (page) => page.getByRole("button", { name: "Stop …" }).click(),
    forOperator: ON_PROJECT,
  },
  {
    name: "fix",
    path: "/projects/my-app",
    text: "kubectl-edit",
    part: "dialog",
    prepare: (page) => page.getByRole("button", { name: "Fix drift …" }).click(),
    forOperator: ON_PROJECT,
  },
  {
    name: "create",
    path: "/create",
    text: "Create a project",
    async prepare(page) {
      await page.getByText("README of skeleton").click();
      await page.getByText("Sizes", { exact: true }).click();
      await page.getByLabel("Replicas").fill("21");
      await page.getByText("Requests, disks and quotas").click();
      await page.getByText("is not a whole number from 0 to 20").waitFor();
      await page.getByLabel("Replicas").fill("2");
      await page.getByLabel("Name", { exact: true }).fill("New Shop");
      await page.getByRole("button", { name: "Show the plan" }).click();
      await page.getByText("Created 1 resource").waitFor();
    },
    forOperator: ["Show the plan"],
  },
  { name: "operations", path: "/operations", text: "no room" },
  { name: "operation", path: `/operations/${UP}`, text: "a warning" },
  {
    name: "audit",
    path: "/audit",
    text: "project.create",
    async prepare(page) {
      await page.locator("main summary").click();
      await page.locator("main pre").waitFor();
    },
  },
  {
    name: "logs",
    path: `/logs/my-app?from=${HOUR_BEFORE}&before=${HOUR_AFTER}`,
    text: "a line",
    async prepare(page) {
      await page.getByRole("group", { name: "Lines by level" }).waitFor();
      await page.getByRole("log").getByText("error: a line").click();
    },
    forViewer: ON_LOGS,
  },
  {
    name: "fleet",
    path: "/fleet",
    text: "0.1.0+next",
    async prepare(page) {
      await page.getByRole("figure").first().waitFor();
    },
  },
  {
    name: "rollout",
    path: `/fleet/rollouts/${ROLLOUT}`,
    text: "plan-failed",
    forOperator: ["Cancel"],
    forApprover: ["Approve the plan"],
  },
  { name: "missing", path: "/projects/a/b", text: "There is no such view" },
  { name: "sign-in", path: "/sign-in", text: "API key", part: "#app", isOpen: true },
];

/** Fills the service with what the views show. */
export async function fillViews(stage: PageStage): Promise<void> {
  const tenant = await stage.addProject("my-app", `My App ${HOSTILE}`);
  await addOperations(stage);
  await addDrift(stage);
  await addRollout(stage);
  await auditLog(stage.store).record({
    ...{ action: "project.create", projectId: "my-app", actor: `ada ${HOSTILE}` },
    ...{ component: "infra", result: "success", details: { name: HOSTILE } },
  });
  // The log is append-only, so only its owner can give the event another time.
  await stage.admin(
    `ALTER TABLE audit_log DISABLE TRIGGER USER; UPDATE audit_log SET at = '${AT}'`,
  );
  await stage.admin(`
    UPDATE projects SET created_at = '${AT}', updated_at = '${AT}', program_version = '0.1.0+old',
      settings = ${sql({ name: HOSTILE, sizes: { replicas: 2 } })},
      outputs = ${sql({ url: "javascript:window.hurt=1", image: HOSTILE, password: "[secret]" })}`);
  await stage.citadel.ingest(
    tenant,
    LEVELS.map((level, index) => ({
      ...{ level, message: `${level}: a line ${HOSTILE}`, service: HOSTILE },
      timestamp: AT.replace("05.678", `0${index}.000`),
      ...{ environment: "staging", target: "web", fields: { [HOSTILE]: HOSTILE, status: 500 } },
    })),
  );
}

/**
 * The page's requests for a preview get one that has ended, because nothing runs operations here. The audit
 * trail is that of the project, because tests make keys.
 */
export async function answerRequests(page: Page): Promise<void> {
  const answer = (id: string) => ({ status: 202, json: { id } });
  await page.route("**/v1/projects/my-app?dryRun=true", (route) =>
    route.fulfill(answer(DESTROY_PREVIEW)),
  );
  await page.route("**/v1/projects/new-shop/preview", (route) => route.fulfill(answer(PREVIEW)));
  await page.route("**/v1/audit?limit=100", (route, request) =>
    route.continue({ url: `${request.url()}&project=my-app` }),
  );
}

/** Replaces what differs from run to run. */
export function stableText(snapshot: string): string {
  return snapshot
    .replaceAll(/\b(admin|approver|operator|viewer)-[0-9a-f]{8}\b/g, "$1-key")
    .replaceAll(/\b(?!01900000)[0-9a-f]{8}-[0-9a-f-]{27}\b/g, "<id>");
}

async function addOperations(stage: PageStage): Promise<void> {
  const step = (event: string, name: string, op: string, more: object = {}) => ({
    ...{ event, urn: `urn:pulumi:s::p::gitea:Repository::${name}`, type: "gitea:Repository" },
    ...{ name, op, component: false, ...more },
  });
  const state = (name: string) => ({ event: "state", state: name, attempts: 1 });
  const changes = { create: 1, update: 0, replace: 0, delete: 0, same: 0 };
  const outcome = (result: string, errors: readonly object[] = []) => ({
    ...{ result, changes, outputs: {}, durationMs: 65_000, errors },
  });
  const failed = { code: "RDEV_ENGINE", urn: `urn:x::${HOSTILE}`, message: `no room ${HOSTILE}` };
  await addOperation(
    stage,
    UP,
    { kind: "up", settings: {}, onFailure: "keep" },
    [
      state("running"),
      step("resourceDone", "my-app", "create", { durationMs: 700 }),
      step("resourceFailed", HOSTILE, "update", { durationMs: 1_700, changed: [HOSTILE] }),
      { event: "diagnostic", severity: "warning", message: `a warning ${HOSTILE}` },
      state("failed"),
    ],
    outcome("failed", [failed]),
  );
  const preview = (of: string) => ({ kind: "preview", of, settings: {} });
  const settings = step("resourceDone", "settings", "update", { durationMs: 1, changed: ["spec"] });
  const { urn, type } = settings;
  const plan = {
    ...{ fingerprint: "a", unchanged: 0, findings: [] },
    changes: [
      {
        ...{ op: "update", urn, type, name: "settings", moreProperties: 0 },
        properties: [
          { path: "spec", kind: "update", replaces: false, old: HOSTILE, new: "[secret]" },
        ],
      },
    ],
  };
  for (const [id, of, steps, more] of [
    [
      PREVIEW,
      "up",
      [step("resourceDone", HOSTILE, "create", { durationMs: 700 }), settings],
      { plan },
    ],
    [
      DESTROY_PREVIEW,
      "destroy",
      [step("resourceDone", HOSTILE, "delete", { durationMs: 700 })],
      {},
    ],
  ] as const) {
    const events = [state("running"), ...steps, state("succeeded")];
    await addOperation(stage, id, preview(of), events, { ...outcome("succeeded"), ...more });
  }
}

async function addOperation(
  stage: PageStage,
  id: string,
  request: { readonly kind: string; readonly [name: string]: unknown },
  events: readonly object[],
  outcome: { readonly result: string },
): Promise<void> {
  const remaining = [{ system: "gitea", what: `repository ${HOSTILE}`, why: "retained" }];
  await stage.admin(`
    INSERT INTO operations (id, platform, slug, kind, request, settings, state, actor, created_at,
                            started_at, ended_at, attempts, outcome, remaining, last_event)
    VALUES ('${id}', 'staging', 'my-app', '${request.kind}', ${sql(request)}, '{}',
            '${outcome.result}', 'ada ${HOSTILE}', '${AT}', '${AT}',
            timestamptz '${AT}' + interval '65 s', 1, ${sql(outcome)}, ${sql(remaining)},
            ${events.length})`);
  for (const [index, event] of events.entries()) {
    await stage.admin(`
      INSERT INTO operation_events (operation_id, number, at, event)
      VALUES ('${id}', ${index + 1}, timestamptz '${AT}' + interval '${index} s', ${sql(event)})`);
  }
}

async function addDrift(stage: PageStage): Promise<void> {
  const change = {
    ...{ op: "update", urn: "urn:pulumi:s::p::gitea:Repository::settings", name: HOSTILE },
    ...{ type: "gitea:Repository", moreProperties: 0, by: [{ manager: "kubectl-edit" }] },
    properties: [{ path: HOSTILE, kind: "update", replaces: false }],
    since: AT,
  };
  await stage.admin(`
    INSERT INTO drift (slug, checked_at, changes, fixable_by)
    VALUES ('my-app', '${AT}', ${sql([change])}, 'updates')`);
}

async function addRollout(stage: PageStage): Promise<void> {
  const plan = {
    ...{ fingerprint: "a", unchanged: 3, findings: [] },
    changes: [
      {
        ...{ op: "update", urn: "urn:x::y", type: "gitea:Repository", name: HOSTILE },
        properties: [{ path: "spec", kind: "update", replaces: false, old: HOSTILE, new: "new" }],
        moreProperties: 0,
      },
    ],
  };
  const reason = { code: "plan-failed", message: HOSTILE };
  await stage.admin(`
    INSERT INTO rollouts (id, platform, version, request, state, actor, actor_id, plan, created_at)
    VALUES ('${ROLLOUT}', 'staging', '0.1.0+next', ${sql(rolloutRequest.parse({}))}, 'planned',
            'ada ${HOSTILE}', 'key:1', 'the-plan', '${AT}')`);
  await stage.admin(`
    INSERT INTO rollout_projects (rollout_id, slug, wave, state, reason, loses_data, fingerprint, plan)
    VALUES ('${ROLLOUT}', 'blog', 1, 'planned', NULL, true, 'a', ${sql(plan)}),
           ('${ROLLOUT}', 'my-app', 2, 'held', ${sql(reason)}, false, NULL, NULL)`);
}

/** JSON as a literal of SQL. */
function sql(value: unknown): string {
  return `'${jsonText(value).replaceAll("'", "''")}'`;
}
