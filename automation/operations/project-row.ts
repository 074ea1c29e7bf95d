import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { changeSettings } from "../../core/recorded-settings.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import { MANAGED_BY, type Mark } from "../../core/ownership.ts";
import type { Outcome } from "../../core/operation.ts";
import { Projects, type Project, type StoredProject } from "../store/projects.ts";
import type { Store } from "../store/store.ts";

/** In ms. The person waits for it. */
const PATIENCE = { deadline: 5_000 };

/** What is known of a project, kept right around an operation of its stack. */
export class ProjectRow {
  readonly #projects: Projects;
  readonly #slug: string;
  readonly #platform: string;
  #known: StoredProject | undefined;

  constructor(store: Store, slug: string, platform: string) {
    this.#projects = new Projects(store);
    this.#slug = slug;
    this.#platform = platform;
  }

  /** Rejects with RDEV_NOT_OURS where the project is another platform's. */
  async read(): Promise<void> {
    this.#known = await this.#projects.find(this.#slug);
    const { platform } = this.#known ?? {};
    if (platform === undefined || platform === this.#platform) return;
    throw new InfraError(
      "RDEV_NOT_OURS",
      `The database of DATABASE_URL knows "${this.#slug}" as a project of the platform ` +
        `"${platform}". Each platform has a database of its own.`,
    );
  }

  /** As the last `up` left them; undefined where the project is not known. */
  get settings(): ProjectChanges | undefined {
    return this.#known?.settings;
  }

  /** Before anything is made: from then on, an environment of the project's is no orphan. */
  async beforeUp(): Promise<void> {
    if (!this.#known) await this.#put({});
  }

  /** `asked`: the settings that a request names, which must survive an `up` that made nothing. */
  async afterUp(outcome: Outcome, asked?: ProjectChanges): Promise<void> {
    const { result, changes, outputs } = outcome;
    const told = z.uuid().safeParse(outputs["citadelTenantId"]).data;
    const nothingMade = result === "failed" && changes.create === 0;
    if (!this.#known && !asked && nothingMade) return this.#projects.remove(this.#slug);
    const name = outputs["name"];
    await this.#put({
      ...(typeof name === "string" && { name }),
      citadelTenantId: told ?? (result === "succeeded" ? null : await this.#environment()),
    });
    await this.#projects.update(this.#slug, {
      settings: outcome.settings ?? this.#unrecorded(asked),
      ...(result === "succeeded" && { outputs }),
    });
  }

  /** Where no stack has recorded any settings yet, only the row keeps what was asked for. */
  #unrecorded(asked: ProjectChanges | undefined): ProjectChanges | undefined {
    if (!asked || this.#known?.wasUp) return undefined;
    return changeSettings(this.#known?.settings ?? {}, asked);
  }

  /** `removed`: the stack's record is gone, too. */
  async afterDestroy({ result }: Outcome, removed: boolean): Promise<void> {
    if (result !== "succeeded") return;
    if (removed) return this.#projects.remove(this.#slug);
    await this.#projects.update(this.#slug, { citadelTenantId: null, settings: {}, outputs: {} });
  }

  /** Of an up that failed: one output that is missing, and the engine tells none. */
  async #environment(): Promise<string | null> {
    const known = this.#known?.citadelTenantId ?? null;
    if (known !== null || !connection("citadelEnabled").enabled) return known;
    try {
      const found = await new Citadel(undefined, PATIENCE).environments.find(this.#slug);
      return found && isProjectsOwn(found.metadata, this.#platform, this.#slug) ? found.id : null;
    } catch {
      return null; // as long as Citadel is down; `citadel check --mend` finds it
    }
  }

  #put(changes: Partial<Project>): Promise<void> {
    const slug = this.#slug;
    const unknown = { slug, platform: this.#platform, name: slug, citadelTenantId: null };
    const { name, citadelTenantId } = this.#known ?? unknown;
    return this.#projects.put({ ...unknown, name, citadelTenantId, ...changes });
  }
}

/** Whichever of its stacks made it: the row outlives a stack's state. */
function isProjectsOwn(mark: Mark, platform: string, slug: string): boolean {
  const isOurs = mark["managed-by"] === MANAGED_BY && mark["project"] === slug;
  return isOurs && (mark["platform"] ?? platform) === platform;
}
