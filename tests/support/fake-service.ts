import { Writable } from "node:stream";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { Registry } from "prom-client";
import type { AuditEvent } from "../../automation/audit/log.ts";
import {
  Authenticator,
  type AuthenticatorOptions,
} from "../../automation/identity/authenticator.ts";
import { type Key, newKeyText, parseKeyText } from "../../automation/keys/key.ts";
import type { Drift, DriftRun } from "../../core/drift.ts";
import type { Role } from "../../core/identity.ts";
import type { MergedRollout } from "../../core/merged-rollout.ts";
import type { NumberedEvent, Operation } from "../../core/operation.ts";
import { type NumberedRolloutEvent, type Rollout, rolloutRequest } from "../../core/rollout.ts";
import { reportOf } from "../../automation/rollouts/report.ts";
import type { Submission } from "../../automation/operations/submission.ts";
import type { ServiceOptions } from "../../automation/service/options.ts";
import { createService } from "../../automation/service/service.ts";
import {
  PROJECT_STATUSES,
  type ProjectCounts,
  type ProjectRecord,
} from "../../automation/store/project-records.ts";
import type { TemplateUpdate } from "../../core/template-update.ts";
import { DEFAULT_SIZES } from "../../core/sizes.ts";
import type { Template } from "../../providers/git/template.ts";
import { logOptions } from "../../automation/service/log.ts";

export interface FakeService {
  readonly app: FastifyInstance;
  readonly audit: AuditEvent[];
  readonly submitted: Submission[];
  /** The log, as objects. */
  readonly lines: Record<string, unknown>[];
  readonly metrics: Registry;
  /** An API key. */
  key(role: Role, more?: Partial<Key>): string;
}

export const OPERATION: Operation = {
  id: "0193a8a1-7d5c-7c44-9c41-0c8f1d3f2b11",
  platform: "staging",
  slug: "my-app",
  request: { kind: "refresh" },
  state: "queued",
  actor: "rdev",
  createdAt: new Date(0),
  startedAt: null,
  endedAt: null,
  attempts: 0,
  outcome: null,
  remaining: [],
};

export const DRIFT: Drift = {
  slug: "my-app",
  state: "drifted",
  checkedAt: "2026-01-02T03:04:05.678Z",
  since: "2026-01-01T03:04:05.678Z",
  changes: [
    {
      op: "update",
      urn: "urn:pulumi:staging.my-app::rdev::kubernetes:apps/v1:Deployment::my-app",
      type: "kubernetes:apps/v1:Deployment",
      name: "my-app",
      properties: [{ path: "spec.replicas", kind: "update", replaces: false, old: "1", new: "3" }],
      moreProperties: 0,
      by: [{ manager: "kubectl-edit", at: "2026-01-01T02:00:00.000Z" }],
      since: "2026-01-01T03:04:05.678Z",
    },
  ],
  fixableBy: "updates",
};

export const PROJECT: ProjectRecord = {
  slug: "my-app",
  platform: "staging",
  name: "My App",
  citadelTenantId: null,
  settings: {},
  outputs: { url: "https://my-app.example.test" },
  template: undefined,
  programVersion: null,
  status: "ready",
  lastOperation: OPERATION,
  drift: DRIFT,
  createdAt: new Date(0),
  updatedAt: new Date(0),
};

/** A rollout that waits for an approval. It has the id of the operation. */
export const ROLLOUT: Rollout = {
  id: OPERATION.id,
  platform: "staging",
  version: "0.1.0+new",
  request: rolloutRequest.parse({}),
  state: "planned",
  actor: "rdev",
  createdAt: new Date(0),
  plan: "the-plan",
  wave: 0,
  waves: 1,
  totals: {
    waiting: 0,
    planning: 0,
    planned: 1,
    running: 0,
    succeeded: 0,
    failed: 0,
    held: 0,
    skipped: 0,
  },
};

/** A request for a rollout that waits. */
export const REQUEST: MergedRollout = {
  id: OPERATION.id,
  platform: "staging",
  pullRequest: 7,
  commit: "c".repeat(40),
  version: "0.2.0+newer",
  state: "waiting",
  actor: "user:ada",
  createdAt: "2026-01-02T03:04:05.678Z",
  expiresAt: "2026-01-09T03:04:05.678Z",
};

const NO_PROJECTS = Object.fromEntries(
  PROJECT_STATUSES.map((status) => [status, 0] as const),
) as ProjectCounts;

/** One project, `my-app`. */
export const PROJECTS: ServiceOptions["projects"] = {
  find: async (slug) => (slug === PROJECT.slug ? PROJECT : undefined),
  list: async () => [{ ...PROJECT, key: PROJECT.slug }],
  counts: async () => ({ ...NO_PROJECTS, ready: 1 }),
  resources: async () => [],
};

const TEMPLATE_UPDATE: TemplateUpdate = {
  slug: "my-app",
  template: "skeleton",
  result: "current",
  dryRun: false,
  version: "0123456789abcdef",
  newest: "0123456789abcdef",
  files: [],
  conflicts: [],
};

/** A template with HTML in its README. */
const TEMPLATE: Template = {
  name: "skeleton",
  version: "0123456789abcdef",
  readme: "# {{PROJECT_NAME}}\n\nA service in <b>Go</b>: `{{PROJECT_SLUG}}`.\n",
};

const RUN: DriftRun = {
  id: OPERATION.id,
  reason: "request",
  actor: "rdev",
  startedAt: "2026-01-02T03:04:05.678Z",
  total: 2,
  done: 1,
  drifted: 1,
  failed: 0,
};

/** The HTTP service with everything behind it in memory. It has one project, `my-app`. */
export async function fakeService(
  parts: Partial<ServiceOptions> = {},
  identity: Omit<AuthenticatorOptions, "keys"> = {},
): Promise<FakeService> {
  const keys = new Map<string, Key>();
  const audit: AuditEvent[] = [];
  const submitted: Submission[] = [];
  const lines: Record<string, unknown>[] = [];
  const metrics = new Registry();
  const output = new Writable({
    write(line: Buffer, _encoding, done) {
      lines.push(JSON.parse(line.toString()) as Record<string, unknown>);
      done();
    },
  });
  const app = await createService({
    platform: "staging",
    operations: {
      async submit(input) {
        submitted.push(input);
        const { slug, request, actor } = input;
        return { operation: { ...OPERATION, slug, request, actor }, replayed: false };
      },
      find: async (id) => (id === OPERATION.id ? OPERATION : undefined),
      list: async () => [OPERATION],
      events: async () => [],
      async *follow(): AsyncGenerator<NumberedEvent> {},
      cancel: async () => ({ ...OPERATION, state: "cancelled" }),
    },
    projects: PROJECTS,
    rollouts: fakeRollouts(),
    rolloutRequests: { list: async () => [REQUEST], cancel: async () => REQUEST },
    programVersion: "0.1.0+new",
    templates: {
      update: async (slug, { dryRun }) => ({ ...TEMPLATE_UPDATE, slug, dryRun }),
      list: () => [TEMPLATE],
    },
    sizes: async () => ({ sizes: DEFAULT_SIZES, maxSizes: {} }),
    drift: {
      find: async (slug) => (slug === PROJECT.slug ? DRIFT : undefined),
      list: async ({ slugs }) =>
        slugs === undefined || slugs.includes(PROJECT.slug) ? [DRIFT] : [],
      runs: async () => [RUN],
    },
    lookAtAll: async (actor) => ({ ...RUN, actor }),
    authenticator: new Authenticator({
      ...identity,
      keys: { authenticate: async (text) => keys.get(parseKeyText(text)?.id ?? "") },
    }),
    audit: { record: async (event) => void audit.push(event) },
    auditPage: async () => [],
    deliveries: { list: async () => [], resend: async () => 1 },
    statistics: async () => [],
    checkReady: async () => undefined,
    metrics,
    logger: pino(logOptions("info"), output),
    ...parts,
  });
  return {
    app,
    audit,
    submitted,
    lines,
    metrics,
    key(role, more = {}) {
      const { id, text } = newKeyText();
      const none = { project: null, expiresAt: null, lastUsedAt: null, revokedAt: null };
      keys.set(id, { id, name: `a-${role}`, role, createdAt: new Date(), ...none, ...more });
      return text;
    },
  };
}

function fakeRollouts(): ServiceOptions["rollouts"] {
  const find = async (id: string) => (id === ROLLOUT.id ? ROLLOUT : undefined);
  const change = async () => ROLLOUT;
  return {
    start: change,
    find,
    list: async () => [ROLLOUT],
    projects: async () => [{ slug: "my-app", wave: 1, state: "planned", losesData: false }],
    report: async () => reportOf([], "staging", "plan"),
    events: async () => [],
    async *follow(): AsyncGenerator<NumberedRolloutEvent> {},
    approve: change,
    pause: change,
    resume: change,
    cancel: change,
  };
}

export const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
