import { destroy, up } from "../../automation/engine/stack.ts";
import type { NumberedEventView } from "../../automation/service/schemas/operation.ts";
import type { projectView } from "../../automation/service/schemas/project.ts";
import type { PlatformSettings } from "../../core/settings.ts";
import { slugFromName } from "../../core/slug.ts";
import { PLATFORM, sandboxPlatform } from "../platform.ts";
import { leftOnServers, SEARCHED_SYSTEMS } from "../proofs/left-on-servers.ts";
import { citadelLabelsOf, type DeployedProject } from "../proofs/project.ts";
import { type Evidence, expect } from "../proofs/proofs.ts";
import { type Sandbox, type SandboxOptions, startSandbox } from "../sandbox.ts";
import { type SandboxService, startService } from "../service.ts";
import { describeChanges, describeEvents, note, step, succeeded } from "./screen.ts";

type ProjectView = ReturnType<typeof projectView>;

/** The sandbox and the service of a demo, and the steps that every demo begins and ends with. */
export class Stage {
  readonly settings: PlatformSettings;
  readonly sandbox: Sandbox;
  #service: SandboxService | undefined;

  private constructor(settings: PlatformSettings, sandbox: Sandbox) {
    this.settings = settings;
    this.sandbox = sandbox;
    // The engine, its plugins and the providers read their connections only from these variables.
    Object.assign(process.env, sandbox.env);
  }

  static async open(
    title: string,
    options: Pick<SandboxOptions, "realNode" | "runPipelines" | "forge">,
  ): Promise<Stage> {
    const settings = await sandboxPlatform();
    return step(title, async () => {
      const sandbox = await startSandbox({
        ...settings,
        ...options,
        onProgress: ({ part, text }) => part !== "sandbox" && text !== "ready" && note(part, text),
      });
      return [
        new Stage(settings, sandbox),
        [sandbox.engine.description, ...partLines(sandbox)],
      ] as const;
    });
  }

  /** The service's API. */
  get api(): SandboxService {
    if (!this.#service) throw new Error("the service does not run");
    return this.#service;
  }

  /** Brings up the platform's stack. `agent` says how its log agent runs. */
  async bringUp(agent: string): Promise<void> {
    const { env, workFolder: workDir } = this.sandbox;
    await step(`up ${PLATFORM}`, async () => {
      const outcome = succeeded(await up(PLATFORM, { workDir }));
      const labelled = await Promise.all(
        this.settings.workloads.map(async (workload) => {
          const labels = Object.keys(await citadelLabelsOf({ env }, workload));
          expect(labels.length === 2, `${workload.name} is labelled`);
          return workload.name;
        }),
      );
      return [
        undefined,
        [describeChanges(outcome), `${agent}; labelled: ${labelled.join(", ")}`],
      ] as const;
    });
    await step("rdev-infra service answers", async () => {
      this.#service = await startService({ env });
      return [undefined, [`${this.api.url}, with a key of an administrator`]] as const;
    });
  }

  /** Creates a project by its name, through the API. */
  async create(name: string): Promise<DeployedProject> {
    await step(`POST /v1/projects: create "${name}"`, async () => {
      const events: NumberedEventView[] = [];
      const onEvent = (event: NumberedEventView) => void events.push(event);
      const { outcome, id } = await this.api.operate("POST", "/v1/projects", {
        body: { name },
        onEvent,
      });
      return [undefined, [`operation ${id}: ${describeEvents(events)}`, describeChanges(outcome)]];
    });
    const slug = slugFromName(name);
    const path = `/v1/projects/${slug}`;
    const { tenantId = "" } = await step(`GET ${path}`, async () => {
      const found = await this.api.call<ProjectView>("GET", path);
      return [found, [`${found.status}, ${found.urls.site}, tenant ${found.tenantId}`]] as const;
    });
    return { ...this.#place(slug), name, tenantId };
  }

  /** Deletes projects through the API. None may be left. */
  async delete(...slugs: readonly string[]): Promise<void> {
    const paths = slugs.map((slug) => `/v1/projects/${slug}`);
    await step(`DELETE ${paths.join(" and ")}`, async () => {
      const changes = await Promise.all(
        paths.map(async (path) => {
          const { outcome, remaining } = await this.api.operate("DELETE", path);
          expect(remaining.length === 0, `nothing remains (${JSON.stringify(remaining)})`);
          return describeChanges(outcome);
        }),
      );
      const { items } = await this.api.call<{ items: unknown[] }>("GET", "/v1/projects");
      expect(items.length === 0, "the list of projects is empty");
      return [undefined, [...changes, "according to the servers nothing remains"]];
    });
  }

  /** Destroys the platform. `search` says what else was searched in vain, and throws if it finds something. */
  async close(
    slugs: readonly string[],
    search: () => Promise<Evidence> = () => Promise.resolve([]),
  ): Promise<void> {
    const { env, workFolder: workDir } = this.sandbox;
    await step(`destroy ${PLATFORM}`, async () => {
      await this.#stopService();
      const outcome = succeeded(await destroy(PLATFORM, { workDir, remove: true }));
      return [undefined, [describeChanges(outcome)]];
    });
    await step("nothing is left", async () => {
      const left = await Promise.all(
        [...slugs, PLATFORM, "rdev-platform", this.settings.agentNamespace].map((name) =>
          leftOnServers(this.#place(name)),
        ),
      );
      expect(left.flat().length === 0, `nothing is left (${left.flat().join(", ")})`);
      for (const workload of this.settings.workloads) {
        const labels = Object.keys(await citadelLabelsOf({ env }, workload));
        expect(labels.length === 0, `the labels of ${workload.name} are removed`);
      }
      const searched = `searched: ${SEARCHED_SYSTEMS.join(", ")}; the labels are removed`;
      return [undefined, [searched, ...(await search())]];
    });
  }

  /** Stops everything, also in the middle of a step. */
  async stop(): Promise<void> {
    await this.#stopService();
    await this.sandbox.stop();
  }

  async #stopService(): Promise<void> {
    await this.#service?.stop();
    this.#service = undefined;
  }

  #place(slug: string) {
    const { gitOrganization: organization, domain } = this.settings;
    const { dns, env } = this.sandbox;
    return { slug, organization, domain, dns, env };
  }
}

function partLines({ parts }: Sandbox): string[] {
  const names = (real: boolean) =>
    parts
      .filter((part) => part.real === real)
      .map(({ name, version }) => (version ? `${name} ${version}` : name))
      .join(", ");
  return [`real: ${names(true)}`, `stand-ins: ${names(false)}`];
}
