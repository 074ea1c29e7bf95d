import { up } from "../automation/engine/stack.ts";
import type { OperationEvent } from "../core/operation.ts";
import type { Report } from "./context.ts";
import { succeeded } from "./demo/screen.ts";
import { writeEnvironmentFile } from "./environment.ts";
import { startReceivers } from "./notifications.ts";
import { PLATFORM } from "./platform.ts";
import { reservePorts } from "./ports.ts";
import type { Sandbox } from "./sandbox.ts";
import { type SandboxService, startService } from "./service.ts";
import { type GiteaPerson, offerSignIn } from "./sign-in.ts";

/** The service's page on a sandbox, and who can sign in. */
export interface SandboxPage {
  readonly service: SandboxService;
  /** An administrator who signs in through Gitea. Undefined: an API key is the only way in. */
  readonly person: GiteaPerson | undefined;
  /** Where the service's notifications can be read. */
  readonly notifications: string;
  /** Stops the service, and then its receivers. */
  stop(): Promise<void>;
}

export interface PageOptions {
  readonly report: Report;
  /** Whether to create a person on the sandbox's Gitea. */
  readonly withPerson: boolean;
}

/**
 * Brings up the platform and starts the service, so that projects can be created on its page. Changes
 * the environment of this process. Rejects with RDEV_ENGINE if the platform does not come up.
 */
export async function openPage(
  sandbox: Sandbox,
  { report, withPerson }: PageOptions,
): Promise<SandboxPage> {
  // The engine, its plugins and the providers read their connections only from these variables.
  Object.assign(process.env, sandbox.env);
  report("platform", `up ${PLATFORM}`);
  const { workFolder: workDir } = sandbox;
  const onEvent = (event: OperationEvent) => {
    if (event.event !== "resourceDone" || event.component || event.op === "same") return;
    report("platform", `${event.op} ${event.type.split(":").at(-1)} ${event.name}`);
  };
  succeeded(await up(PLATFORM, { workDir, onEvent }));
  report("platform", "ready");
  // Gitea must know the service's address before the service starts.
  const port = (await reservePorts()).take();
  const origin = `http://127.0.0.1:${port}`;
  const signIn = withPerson ? await offerSignIn(sandbox, { origin, role: "admin" }) : undefined;
  const receivers = await startReceivers(sandbox.folder);
  try {
    const shared = { ...sandbox.env, ...receivers.variables };
    // Another service on the same database would otherwise drop the notifications that it takes.
    await writeEnvironmentFile(sandbox.folder, shared, workDir);
    const service = await startService({ env: { ...shared, ...signIn?.variables } }, { port });
    report("service", "ready");
    return {
      ...{ service, person: signIn?.person, notifications: receivers.url },
      async stop() {
        await service.stop();
        await receivers.close();
      },
    };
  } catch (error) {
    await receivers.close();
    throw error;
  }
}
