import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import type { Outcome } from "../../core/operation.ts";
import { MANAGED_BY, type Mark } from "../../core/ownership.ts";
import { changeSettings } from "../../core/recorded-settings.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import { Projects, type Project, type StoredProject } from "../store/projects.ts";
import type { Store } from "../store/store.ts";

/** In ms. Short, because a person waits for the operation's end. */
const CITADEL_DEADLINE = 5_000;

interface UpRecord {
  readonly requested: ProjectChanges | undefined;
  readonly programVersion: string | undefined;
}

/** Updates a project's row before and after an operation of its stack. */
export class ProjectSync {
  readonly #projects: Projects;
  readonly #slug: string;
  readonly #platform: string;
  #stored: StoredProject | undefined;

  constructor(store: Store, slug: string, platform: string) {
    this.#projects = new Projects(store);
    this.#slug = slug;
    this.#platform = platform;
  }

  /** Rejects with RDEV_NOT_OURS if the project belongs to another platform. */
  async read(): Promise<void> {
    this.#stored = await this.#projects.find(this.#slug);
    const { platform } = this.#stored ?? {};
    if (platform === undefined || platform === this.#platform) return;
    throw new InfraError(
      "RDEV_NOT_OURS",
      `The database of DATABASE_URL has "${this.#slug}" as a project of the platform "${platform}". ` +
        "Each platform needs a database of its own.",
    );
  }

  /** The settings of the last `up`; undefined if the project has no row. */
  get settings(): ProjectChanges | undefined {
    return this.#stored?.settings;
  }

  /** Adds the row before anything is created, so that no environment in Citadel counts as an orphan. */
  async beforeUp(): Promise<void> {
    if (!this.#stored) await this.#put({});
  }

  /** `requested` settings are kept even if the `up` created nothing. */
  async afterUp(outcome: Outcome, { requested, programVersion }: UpRecord): Promise<void> {
    const { result, changes, outputs, template } = outcome;
    const tenantId = z.uuid().safeParse(outputs["citadelTenantId"]).data;
    const createdNothing = result === "failed" && changes.create === 0;
    if (!this.#stored && !requested && createdNothing) return this.#projects.remove(this.#slug);
    const name = outputs["name"];
    await this.#put({
      ...(typeof name === "string" && { name }),
      citadelTenantId: tenantId ?? (result === "succeeded" ? null : await this.#findTenantId()),
    });
    await this.#projects.update(this.#slug, {
      settings: outcome.settings ?? this.#unrecordedSettings(requested),
      ...(result === "succeeded" && { outputs, templateSeed: template, programVersion }),
    });
  }

  /** Until a stack records its settings, the row is the only place for them. */
  #unrecordedSettings(requested: ProjectChanges | undefined): ProjectChanges | undefined {
    if (!requested || this.#stored?.wasUp) return undefined;
    return changeSettings(this.#stored?.settings ?? {}, requested);
  }

  /** `removed`: the stack's record is deleted as well. */
  async afterDestroy({ result }: Outcome, removed: boolean): Promise<void> {
    if (result !== "succeeded") return;
    if (removed) return this.#projects.remove(this.#slug);
    await this.#projects.update(this.#slug, {
      citadelTenantId: null,
      settings: {},
      outputs: {},
      templateSeed: null,
      template: null,
    });
  }

  /** After a failed `up` the engine reports no outputs if one of them is unknown, so Citadel is asked. */
  async #findTenantId(): Promise<string | null> {
    const stored = this.#stored?.citadelTenantId ?? null;
    if (stored !== null || !connection("citadelEnabled").enabled) return stored;
    try {
      const citadel = new Citadel(undefined, { deadline: CITADEL_DEADLINE });
      const found = await citadel.environments.find(this.#slug);
      return found && belongsToProject(found.metadata, this.#platform, this.#slug)
        ? found.id
        : null;
    } catch {
      return null; // Citadel does not answer: `citadel check --mend` finds the environment later
    }
  }

  #put(changes: Partial<Project>): Promise<void> {
    const slug = this.#slug;
    const initial = { slug, platform: this.#platform, name: slug, citadelTenantId: null };
    const { name, citadelTenantId } = this.#stored ?? initial;
    return this.#projects.put({ ...initial, name, citadelTenantId, ...changes });
  }
}

/** The stack's id is not compared, because the row outlives a stack's state. */
function belongsToProject(mark: Mark, platform: string, slug: string): boolean {
  const isOurs = mark["managed-by"] === MANAGED_BY && mark["project"] === slug;
  return isOurs && (mark["platform"] ?? platform) === platform;
}
