import pLimit from "p-limit";
import { isCitadelEnabled } from "../../core/connections.ts";
import type { RolloutReason, RolloutRequest } from "../../core/rollout.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import { Kubernetes } from "../../providers/kubernetes/client.ts";
import { tenantOf } from "../citadel/tenants.ts";
import type { Operations } from "../operations/operations.ts";
import { Projects, type StoredProject } from "../store/projects.ts";
import type { RolloutRow } from "../store/schema.ts";
import type { Store } from "../store/store.ts";

/** In ms, for one call of Citadel. */
const CHECK_TIMEOUT_MS = 10_000;
/** Projects that are checked at once. */
const CHECKS_AT_ONCE = 8;
/** So many more errors than before, and twice as many, count as a rise. */
const MORE_ERRORS = 5;

export interface Checked {
  readonly project: Pick<StoredProject, "slug" | "citadelTenantId" | "settings">;
  /** When its `up` began. */
  readonly since: Date;
}

/**
 * Checks a project after its wave. Returns why it failed; undefined if all is well. Rejects if a system
 * does not answer, because then nothing is known.
 */
export type CheckProject = (
  checked: Checked,
  checks: RolloutRequest["checks"],
) => Promise<RolloutReason | undefined>;

export const checkProject: CheckProject = async (checked, { ready, errors }) => {
  if (ready) {
    const problem = await unready(checked);
    if (problem !== undefined) return { code: "not-ready", message: problem };
  }
  if (!errors || !isCitadelEnabled()) return undefined;
  const rise = await risenErrors(checked);
  return rise === undefined ? undefined : { code: "more-errors", message: rise };
};

/** A project's namespace and its Deployment have its slug as name. */
async function unready({ project }: Checked): Promise<string | undefined> {
  const { slug } = project;
  const kubernetes = await Kubernetes.connect();
  const isReady = await kubernetes.deployments.isRolledOut(slug, slug);
  if (isReady === undefined) return `it has no Deployment ${slug}/${slug}`;
  return isReady ? undefined : `not all pods of the Deployment ${slug}/${slug} are ready`;
}

/** Compares the errors since its turn with those of as long a time before it. */
async function risenErrors({ project, since }: Checked): Promise<string | undefined> {
  const citadel = new Citadel(undefined, { deadline: CHECK_TIMEOUT_MS });
  const tenant = project.citadelTenantId ?? (await tenantOf(citadel, project.slug));
  // Citadel's ranges end now, and are whole minutes.
  const minutes = Math.max(1, Math.ceil((Date.now() - since.getTime()) / 60_000));
  const count = async (range: number) =>
    (await citadel.query({ tenant }, "level:error", { range: `${range}m`, limit: 1 })).total;
  const after = await count(minutes);
  if (after < MORE_ERRORS) return undefined;
  const before = (await count(2 * minutes)) - after;
  if (after - before < MORE_ERRORS || after < 2 * before) return undefined;
  return `it logged ${after} errors in ${minutes} minutes, and ${before} in as many before`;
}

interface CheckOptions {
  readonly store: Store;
  readonly operations: Pick<Operations, "find">;
  readonly check: CheckProject;
}

/** The projects of a wave that fail a check, with the reasons. Rejects if a check does. */
export async function failedChecks(
  { store, operations, check }: CheckOptions,
  rollout: RolloutRow,
  slugs: readonly string[],
): Promise<Map<string, RolloutReason>> {
  const projects = new Projects(store);
  const found = await pLimit(CHECKS_AT_ONCE).map(slugs, async (slug) => {
    const [project, row] = await Promise.all([
      projects.find(slug),
      store.run((db) =>
        db
          .selectFrom("rollout_projects")
          .select("operation")
          .where("rollout_id", "=", rollout.id)
          .where("slug", "=", slug)
          .executeTakeFirstOrThrow(),
      ),
    ]);
    // Deleted after its turn.
    if (!project || row.operation === null) return undefined;
    const operation = await operations.find(row.operation);
    const since = operation?.startedAt ?? rollout.created_at;
    const reason = await check({ project, since }, rollout.request.checks);
    return reason && ([slug, reason] as const);
  });
  return new Map(found.filter((entry) => entry !== undefined));
}
