import { InfraError } from "../../core/errors.ts";
import { MANAGED_BY } from "../../core/ownership.ts";
import type { Citadel, Environment } from "../../providers/citadel/port.ts";
import { PLATFORM_ENVIRONMENT } from "../../core/citadel.ts";
import type { BackendStack } from "../engine/backend-stacks.ts";
import type { Project, Projects } from "../store/projects.ts";

/** Where Citadel and the projects that are known here do not agree. */
export type Finding =
  /** An environment with our mark, for a project that is not known and has no stack. */
  | { readonly kind: "orphan"; readonly slug: string; readonly tenantId: string }
  /** The environment of a project that has a stack and is not known, as one of plain Pulumi. */
  | {
      readonly kind: "unrecorded";
      readonly slug: string;
      readonly tenantId: string;
      readonly stack: string;
    }
  /** A project has its environment, but the id that is stored is none or another. */
  | {
      readonly kind: "unlinked";
      readonly slug: string;
      readonly tenantId: string;
      readonly stored: string | null;
    }
  /** A project has no environment; the id that is stored, if one is, names none. */
  | { readonly kind: "missing"; readonly slug: string; readonly stored: string | null };

export interface CheckOptions {
  readonly citadel: Pick<Citadel, "environments">;
  readonly projects: Projects;
  /** The backend's stacks. Rejects where it cannot be asked: then nothing is called an orphan. */
  readonly stacks: () => Promise<readonly Pick<BackendStack, "stack" | "name">[]>;
}

/** By slug. Reads only. */
export async function checkCitadel(options: CheckOptions): Promise<Finding[]> {
  const { citadel, projects } = options;
  // Citadel first: who is made meanwhile is known by then, and found by no mistake an orphan.
  const environments = (await citadel.environments.list()).filter(isOurs);
  const known = await projects.list();
  const slugs = new Set(known.map(({ slug }) => slug));
  const unknown = environments.filter((environment) => !slugs.has(projectOf(environment)));
  const stacks = unknown.length > 0 ? await options.stacks() : [];
  const ofNobody = unknown.map((environment): Finding => {
    const { slug, id: tenantId } = environment;
    const stack = stacks.find(
      ({ name }) => name.kind === "project" && name.slug === projectOf(environment),
    )?.stack;
    return stack === undefined
      ? { kind: "orphan", slug, tenantId }
      : { kind: "unrecorded", slug, tenantId, stack };
  });
  return [...ofNobody, ...known.flatMap((project) => fault(project, environments))].sort((a, b) =>
    a.slug < b.slug ? -1 : 1,
  );
}

function fault(
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
 * Stores the ids that Citadel has. Changes nothing in Citadel: a missing environment is made by its
 * stack, and an orphan may hold the only copy of its logs. Answers with what was mended.
 */
export async function mendLinks(
  projects: Projects,
  findings: readonly Finding[],
): Promise<Finding[]> {
  const mended: Finding[] = [];
  for (const finding of findings) {
    if (finding.kind === "orphan" || finding.kind === "unrecorded") continue;
    if (finding.kind === "missing" && finding.stored === null) continue;
    const tenantId = finding.kind === "unlinked" ? finding.tenantId : null;
    await projects.update(finding.slug, { citadelTenantId: tenantId });
    mended.push(finding);
  }
  return mended;
}

/** Deletes an environment, with its logs. Rejects with RDEV_NOT_OURS where it is no orphan. */
export async function deleteOrphan(options: CheckOptions, slug: string): Promise<void> {
  const findings = await checkCitadel(options);
  const orphan = findings.find((finding) => finding.kind === "orphan" && finding.slug === slug);
  if (orphan?.kind !== "orphan") {
    throw new InfraError(
      "RDEV_NOT_OURS",
      `The Citadel environment "${slug}" is no orphan: there is none, it was not made by rdev-infra, ` +
        "or it belongs to a project or a stack. It is left untouched.",
    );
  }
  await options.citadel.environments.delete(orphan.tenantId);
}

/** The platform's own belongs to no project. */
function isOurs({ slug, metadata }: Environment): boolean {
  return metadata["managed-by"] === MANAGED_BY && slug !== PLATFORM_ENVIRONMENT;
}

function projectOf({ slug, metadata }: Environment): string {
  return metadata["project"] ?? slug;
}
