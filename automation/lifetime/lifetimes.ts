import {
  deletionTime,
  type LifetimeSettings,
  type LifetimeStep,
  nextStep,
} from "../../core/lifetime.ts";
import type { Notification } from "../../core/notification.ts";
import { projectStackName } from "../../core/stack-name.ts";
import type { AuditLog } from "../audit/log.ts";
import { type FleetTask, type FleetTaskOptions, isBusyOrGone } from "../fleet/task.ts";
import { announce } from "../notifications/outbox.ts";
import type { StoreTransaction } from "../store/store.ts";
import { isStillExpired, type Lifetime, lifetimes, recordStep, resetLifetime } from "./table.ts";

/** The actor of the notices, stops and destroys. Names of keys contain no colon. */
const ACTOR = "rdev-infra:lifetime";

/**
 * How many steps one tick does, so that it ends soon. A project that is busy does not count, because many
 * of them would delay all others.
 */
const MAX_STEPS = 20;

interface LifetimesOptions extends FleetTaskOptions<LifetimeSettings> {
  readonly audit: Pick<AuditLog, "recordIn">;
  /** In ms since 1970. Default: the clock. */
  readonly now?: () => number;
}

/** The project's time to live was prolonged after the step was found to be due. */
class Prolonged extends Error {}

/** Warns of the end of projects' time to live, stops them at the end, and deletes them after the grace. */
export class Lifetimes implements FleetTask {
  readonly name = "lifetime";
  readonly #options: Required<LifetimesOptions>;

  constructor(options: LifetimesOptions) {
    this.#options = { now: Date.now, ...options };
  }

  async run(): Promise<void> {
    const { store, platform, now } = this.#options;
    const all = await lifetimes(store, platform);
    if (all.length === 0) return;
    const settings = await this.#options.settings();
    let steps = 0;
    for (const one of all) {
      const current = await this.#current(one);
      const step = current && nextStep(current, settings, now());
      if (!step) continue;
      if (await this.#begin(step, current, settings)) steps += 1;
      if (steps === MAX_STEPS) return;
    }
  }

  /** Undefined if the project has no end any more. What was done for an earlier end does not count. */
  async #current(one: Lifetime): Promise<Lifetime | undefined> {
    const { slug, expiresAt, knownEnd } = one;
    if (expiresAt === knownEnd) return one;
    if (expiresAt === Infinity && knownEnd === undefined) return undefined;
    const { store } = this.#options;
    await store.transaction((transaction) => resetLifetime(transaction, slug, expiresAt));
    if (expiresAt === Infinity) return undefined;
    return { ...one, progress: { noticedAt: undefined, stoppedAt: undefined }, last: undefined };
  }

  /** False if the project was prolonged meanwhile, is busy, or is gone. */
  async #begin(step: LifetimeStep, one: Lifetime, settings: LifetimeSettings): Promise<boolean> {
    try {
      if (step === "notice") await this.#notice(one);
      else if (step === "stop") await this.#stop(one, settings);
      else await this.#destroy(one);
      return true;
    } catch (error) {
      if (isBusyOrGone(error) || error instanceof Prolonged) return false;
      throw error;
    }
  }

  async #notice({ slug, expiresAt }: Lifetime): Promise<void> {
    await this.#inProject(slug, async (transaction) => {
      await requireExpiry(transaction, slug, expiresAt);
      await recordStep(transaction, slug, { noticedAt: this.#now });
      await this.#announce(transaction, slug, "notice", expiresAt);
    });
  }

  async #stop(one: Lifetime, { graceHours }: LifetimeSettings): Promise<void> {
    const { slug, expiresAt, isStopped, progress, last } = one;
    const at = this.#now;
    const record = async (transaction: StoreTransaction, operation?: string) => {
      await requireExpiry(transaction, slug, expiresAt);
      const attempts = last?.step === "stop" ? last.attempts + 1 : 1;
      await recordStep(transaction, slug, {
        ...(progress.stoppedAt === undefined && { stoppedAt: at }),
        ...(operation !== undefined && { begun: { operation, attempts, at } }),
      });
      if (progress.stoppedAt !== undefined) return;
      const deletion = deletionTime(expiresAt, at.getTime(), graceHours);
      await this.#announce(transaction, slug, "stopped", deletion);
    };
    if (isStopped) return this.#inProject(slug, (transaction) => record(transaction));
    await this.#options.operations.submit({
      platform: this.#options.platform,
      slug,
      request: { kind: "up", settings: { stopped: true }, onFailure: "keep" },
      actor: ACTOR,
      ifBusy: "refuse",
      alongside: record,
    });
  }

  async #destroy({ slug, expiresAt, last }: Lifetime): Promise<void> {
    const at = this.#now;
    const attempts = last?.step === "destroy" ? last.attempts + 1 : 1;
    await this.#options.operations.submit({
      platform: this.#options.platform,
      slug,
      request: { kind: "destroy", expired: new Date(expiresAt).toISOString() },
      actor: ACTOR,
      ifBusy: "refuse",
      alongside: async (transaction, operation) => {
        await requireExpiry(transaction, slug, expiresAt);
        await recordStep(transaction, slug, { begun: { operation, attempts, at } });
        if (attempts === 1) await this.#announce(transaction, slug, "deleting", at.getTime());
      },
    });
  }

  get #now(): Date {
    return new Date(this.#options.now());
  }

  /** No request of the project is submitted at the same time. */
  #inProject(slug: string, work: (transaction: StoreTransaction) => Promise<void>): Promise<void> {
    const { store, platform } = this.#options;
    return store.exclusively(`operations of ${projectStackName(platform, slug)}`, work);
  }

  async #announce(
    transaction: StoreTransaction,
    slug: string,
    step: Extract<Notification, { kind: "project.ending" }>["step"],
    at: number,
  ): Promise<void> {
    const event = { kind: "project.ending", slug, step, at: new Date(at).toISOString() } as const;
    await announce(transaction, event);
    if (step !== "notice") return; // the operations of the others are in the audit trail
    await this.#options.audit.recordIn(transaction, {
      action: "project.notice",
      projectId: slug,
      actor: ACTOR,
      component: "fleet",
      result: "success",
      details: { expiresAt: event.at },
    });
  }
}

async function requireExpiry(
  transaction: StoreTransaction,
  slug: string,
  expiresAt: number,
): Promise<void> {
  if (!(await isStillExpired(transaction, slug, expiresAt))) throw new Prolonged();
}
