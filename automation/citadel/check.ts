import { InfraError } from "../../core/errors.ts";
import { MANAGED_BY } from "../../core/ownership.ts";
import type { Citadel, Environment } from "../../providers/citadel/port.ts";
import { PLATFORM_ENVIRONMENT } from "../../core/citadel.ts";
import type { BackendStack } from "../engine/backend-stacks.ts";
import type { Project, Projects } from "../store/projects.ts";

/** A difference between Citadel and the projects in the database. */
export type Finding =
  /** An environment with our mark, whose project is not in the database and has no stack. */
  | { readonly kind: "orphan"; readonly slug: string; readonly tenantId: string }
  /** The same with a stack: for example a project that plain Pulumi made. */
  | {
      readonly kind: "unrecorded";
      readonly slug: string;
      readonly tenantId: string;
      readonly stack: string;
    }
  /** A project has an environment, but no id or another id is stored. */
  | {
      readonly kind: "unlinked";
      readonly slug: string;
      readonly tenantId: string;
      readonly stored: string | null;
    }
  /** A project has no environment. The stored id, if any, matches none. */
  | { readonly kind: "missing"; readonly slug: string; readonly stored: string | null };

export interface CheckOptions {
  readonly citadel: Pick<Citadel, "environments">;
  readonly projects: Projects;
  /** Lists the backend's stacks. If it rejects, no environment is reported as an orphan. */
  readonly stacks: () => Promise<readonly Pick<BackendStack, "stack" | "name">[]>;
}

/** Compares without changing anything. Returns the differences by slug. */
export async function checkCitadel(options: CheckOptions): Promise<Finding[]> {
  const { citadel, projects } = options;
  // Citadel first: a project that is created meanwhile is then already in the database, and its
  // environment is not mistaken for an orphan.
  const environments = (await citadel.environments.list()).filter(isOurs);
  const stored = await projects.list();
  const slugs = new Set(stored.map(({ slug }) => slug));
  const unknown = environments.filter((environment) => !slugs.has(projectOf(environment)));
  const stacks = unknown.length > 0 ? await options.stacks() : [];
  const withoutProject = unknown.map((environment): Finding => {
    const { slug, id: tenantId } = environment;
    const stack = stacks.find(
      ({ name }) => name.kind === "project" && name.slug === projectOf(environment),
    )?.stack;
    return stack === undefined
      ? { kind: "orphan", slug, tenantId }
      : { kind: "unrecorded", slug, tenantId, stack };
  });
  return [
    ...withoutProject,
    ...stored.flatMap((project) => differences(project, environments)),
  ].sort((a, b) => (a.slug < b.slug ? -1 : 1));
}

function differences(
  { slug, citadelTenantId: stored }: Project,
  environments: readonly Environment[],
): Finding[] {
  const own = environments.filter((environment) => projectOf(environment) === slug);
  if (own.some(({ id }) => id === stored)) return [];
  const [environment] = own;
  if (environment) return [{ kind: "unlinked", slug, tenantId: environment.id, stored }];
  return [{ kind: "missing", slug, stored }];
}

/**
 * Stores the ids that Citadel has, and returns the repaired findings. Citadel is not changed: the stack
 * creates a missing environment, and an orphan may hold the only copy of its logs.
 *
 * Before an id is removed, `assertVisible` has to prove that the key sees the environments of the
 * project's platform. A key of another organization gets a list in which every environment is missing.
 */
export async function repairIds(
  projects: Projects,
  findings: readonly Finding[],
  assertVisible: (project: Project) => Promise<void>,
): Promise<Finding[]> {
  const repaired: Finding[] = [];
  for (const project of await onePerPlatform(projects, findings)) await assertVisible(project);
  for (const finding of findings) {
    if (finding.kind === "orphan" || finding.kind === "unrecorded") continue;
    if (finding.kind === "missing" && finding.stored === null) continue;
    const tenantId = finding.kind === "unlinked" ? finding.tenantId : null;
    await projects.update(finding.slug, { citadelTenantId: tenantId });
    repaired.push(finding);
  }
  return repaired;
}

/** One project of each platform that has a stored id without an environment. */
async function onePerPlatform(
  projects: Projects,
  findings: readonly Finding[],
): Promise<Project[]> {
  const slugs = findings.flatMap((finding) =>
    finding.kind === "missing" && finding.stored !== null ? [finding.slug] : [],
  );
  if (slugs.length === 0) return [];
  const missing = (await projects.list()).filter(({ slug }) => slugs.includes(slug));
  return [...new Map(missing.map((project) => [project.platform, project])).values()];
}

/** Deletes an environment with its logs. Rejects with RDEV_NOT_OURS if it is not an orphan. */
export async function deleteOrphan(options: CheckOptions, slug: string): Promise<void> {
  const findings = await checkCitadel(options);
  const orphan = findings.find((finding) => finding.kind === "orphan" && finding.slug === slug);
  if (orphan?.kind !== "orphan") {
    throw new InfraError(
      "RDEV_NOT_OURS",
      `The Citadel environment "${slug}" is not an orphan: it does not exist, rdev-infra did not make ` +
        "it, or it belongs to a project or a stack. Nothing was deleted.",
    );
  }
  await options.citadel.environments.delete(orphan.tenantId);
}

/** The platform's own environment belongs to no project, so it is left out. */
function isOurs({ slug, metadata }: Environment): boolean {
  return metadata["managed-by"] === MANAGED_BY && slug !== PLATFORM_ENVIRONMENT;
}

function projectOf({ slug, metadata }: Environment): string {
  return metadata["project"] ?? slug;
}
