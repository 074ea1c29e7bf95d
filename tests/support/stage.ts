import assert from "node:assert/strict";
import type { OperationEvent, Outcome } from "../../core/operation.ts";
import { destroy, preview, refresh, up } from "../../automation/engine/stack.ts";
import type { OperationOptions, UpOptions } from "../../automation/engine/options.ts";
import { projectStackName } from "../../core/stack-name.ts";
import type { PlatformSettings } from "../../core/settings.ts";
import { PLATFORM, sandboxPlatform } from "../../sandbox/platform.ts";
import { leftOnServers } from "../../sandbox/proofs/left-on-servers.ts";
import type { DeployedProject } from "../../sandbox/proofs/project.ts";
import { runningSandbox } from "./sandbox.ts";
import { uniqueSlug } from "./unique-slug.ts";

/** The changes of an operation that changed nothing. */
const NOTHING = { create: 0, update: 0, replace: 0, delete: 0 };

interface Platform {
  readonly settings: PlatformSettings;
  readonly workDir: string;
}

let platform: Promise<Platform> | undefined;

/** The platform's stack: brought up by the first test that asks, destroyed at the end of the run. */
export function platformStage(): Promise<Platform> {
  platform ??= bringUp();
  return platform;
}

async function bringUp(): Promise<Platform> {
  const { workFolder: workDir } = runningSandbox();
  const settings = await sandboxPlatform();
  succeeded(await up(PLATFORM, { workDir }));
  return { settings, workDir };
}

export async function previewPlatform(): Promise<Run> {
  const { workDir } = await platformStage();
  return recorded((onEvent) => preview(PLATFORM, { workDir, onEvent }));
}

/** A finished operation with its events. */
export interface Run extends Outcome {
  readonly events: readonly OperationEvent[];
}

/** A project of a test, on the platform of the run. */
export interface Project {
  readonly slug: string;
  readonly name: string;
  readonly stack: string;
  readonly workDir: string;
  readonly place: ReturnType<typeof placeOf>;
  up(options?: UpOptions): Promise<Run>;
  preview(): Promise<Run>;
  refresh(): Promise<Run>;
  /** Also removes the stack. */
  destroy(): Promise<Run>;
  /** For checks on the servers. The project must be up. */
  stage(): DeployedProject;
  /** The project's objects on the servers, a line each. */
  onServers(): Promise<string[]>;
}

async function recorded(
  operation: (onEvent: (event: OperationEvent) => void) => Promise<Outcome>,
): Promise<Run> {
  const events: OperationEvent[] = [];
  return { ...(await operation((event) => events.push(event))), events };
}

/** Gives projects to the tests of a suite, and destroys those that are left. */
export function projects(): () => Promise<Project> {
  const left = new Set<string>();
  before(async function () {
    this.timeout(300_000);
    await platformStage();
  });
  after(async function () {
    this.timeout(300_000);
    const { workDir } = await platformStage();
    await Promise.all([...left].map((stack) => destroy(stack, { workDir, remove: true })));
  });
  return async () => {
    const { settings, workDir } = await platformStage();
    const slug = uniqueSlug();
    const name = `Test ${slug}`;
    const stack = projectStackName(PLATFORM, slug);
    const place = placeOf(settings, slug);
    let tenantId = "";
    left.add(stack);
    const run = async (
      operation: (stack: string, options: UpOptions) => Promise<Outcome>,
      options: UpOptions = {},
    ): Promise<Run> => {
      const result = await recorded((record) =>
        operation(stack, {
          ...options,
          workDir,
          onEvent: (event) => {
            record(event);
            options.onEvent?.(event);
          },
        }),
      );
      const found = result.outputs["citadelTenantId"];
      if (typeof found === "string") tenantId = found;
      return result;
    };
    return {
      slug,
      name,
      stack,
      workDir,
      place,
      up: (options = {}) => run(up, { ...options, config: { name, ...options.config } }),
      preview: () => run(preview),
      refresh: () => run(refresh),
      destroy: async () => {
        const removing = (each: string, options: OperationOptions) =>
          destroy(each, { ...options, remove: true });
        const outcome = await run(removing);
        if (outcome.result === "succeeded") left.delete(stack);
        return outcome;
      },
      stage: () => {
        assert.notEqual(tenantId, "", `${stack} is not up`);
        return { ...place, name, tenantId };
      },
      onServers: () => leftOnServers(place),
    };
  };
}

/** Returns the outcome. Fails unless the operation succeeded. */
export function succeeded<T extends Outcome>(outcome: T, stack?: string): T {
  assert.deepEqual(outcome.errors, [], stack);
  assert.equal(outcome.result, "succeeded", stack);
  return outcome;
}

/** Returns the run. Fails unless it succeeded without a change. */
export function unchanged(run: Run): Run {
  const { same, ...changes } = succeeded(run).changes;
  const changed = run.events.filter((event) => "changed" in event);
  assert.deepEqual(changes, NOTHING, JSON.stringify(changed, undefined, 1));
  assert.ok(same > 0);
  return run;
}

export function placeOf({ gitOrganization: organization, domain }: PlatformSettings, slug: string) {
  const { env, dns } = runningSandbox();
  return { slug, organization, domain, dns, env };
}
