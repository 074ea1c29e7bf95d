import { connections } from "../core/connections.ts";
import type { Context, Part } from "./context.ts";
import { type PipelineOptions, startLocalBackend } from "./pipelines/start.ts";
import { startGitea } from "./servers/gitea.ts";
import type { BuiltFamily } from "./tools.ts";
import { startWoodpecker } from "./woodpecker/server.ts";

interface Access {
  readonly url: string;
  readonly token: string;
}

/** A Gitea, and the Woodpecker that is connected to it. */
export interface GivenForge {
  readonly gitea: Access;
  readonly woodpecker: Access;
}

export interface Forge extends GivenForge {
  readonly parts: readonly Part[];
}

export interface ForgeOptions {
  /** The organization of the projects' repositories. */
  readonly organization: string;
  readonly gitea: BuiltFamily;
  /** Gitea's URL for browsers. @default its own address */
  readonly giteaUrl?: string | undefined;
  /** Undefined: pipelines stay `pending`. */
  readonly pipelines: (() => Promise<Omit<PipelineOptions, "atEnd">>) | undefined;
  /** Used instead of servers of its own. */
  readonly given: GivenForge | undefined;
  /** Called with functions that close listeners. */
  readonly atEnd: (close: () => Promise<void>) => void;
}

/**
 * The forge in the environment variables, if `WOODPECKER_URL` is set. GITEA_URL must then be the Gitea
 * that this Woodpecker is connected to. Errors: RDEV_CONNECTION names every variable that is missing.
 */
export function givenForge(env: NodeJS.ProcessEnv = process.env): GivenForge | undefined {
  return env["WOODPECKER_URL"] ? connections(["gitea", "woodpecker"], env) : undefined;
}

/** Starts Gitea and the stand-in for Woodpecker, or uses those that are given. */
export async function startForge(context: Context, options: ForgeOptions): Promise<Forge> {
  const { given, atEnd } = options;
  if (given) return { ...given, parts: givenParts(given) };
  const gitea = await startGitea(context, { ...options, publicUrl: options.giteaUrl });
  context.report("gitea", "ready");
  const pipelines = await options.pipelines?.();
  const backend = pipelines && (await startLocalBackend(context, { ...pipelines, atEnd }));
  const woodpecker = await startWoodpecker({ gitea, ...(backend && { backend }) });
  atEnd(() => woodpecker.close());
  context.secrets.add(woodpecker.token);
  const runs = backend ? "pipelines run on this machine" : "pipelines stay pending";
  const part: Part = {
    name: "Woodpecker",
    real: false,
    address: woodpecker.url,
    reach: `WOODPECKER_TOKEN, as a bearer token; ${runs}`,
  };
  return { gitea, woodpecker, parts: [gitea.part, part] };
}

function givenParts({ gitea, woodpecker }: GivenForge): Part[] {
  return [
    { name: "Gitea", real: true, address: gitea.url, reach: "given by GITEA_URL" },
    { name: "Woodpecker", real: true, address: woodpecker.url, reach: "given by WOODPECKER_URL" },
  ];
}
