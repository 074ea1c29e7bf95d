import { EnvHttpProxyAgent, fetch, type Dispatcher } from "undici";
import pLimit from "p-limit";
import { InfraError } from "../core/errors.ts";
import { downloadPrograms } from "./download.ts";
import { type Release, type ReleaseFile, SITES } from "./releases.ts";
import type { ToolFamily } from "./tool-families.ts";
import { type BuildOptions, inCache, notBuilt, plannedFamily, withProgress } from "./tools.ts";

/** A site that takes longer counts as unreachable. */
const PROBE_MS = 3_000;
/** A download that receives nothing for so long is given up. */
const STALL_MS = 20_000;
/** More at once would not be faster: the line is the limit. */
const CONCURRENCY = 4;
const ARCHITECTURES: Readonly<Record<string, Release["arch"]>> = { x64: "amd64", arm64: "arm64" };

export interface DownloadOptions extends Pick<BuildOptions, "report" | "cache" | "tools"> {
  /** @default the official sites */
  readonly sites?: Release["sites"];
  readonly probeMs?: number;
  readonly stallMs?: number;
}

/**
 * The families that are not in the cache, and whose official binaries can be downloaded: they exist
 * for this machine, and their sites answer. Asks each site once, all at the same time.
 */
export async function downloadable<Family extends ToolFamily>(
  families: readonly Family[],
  options: DownloadOptions,
): Promise<Family[]> {
  const { report, probeMs = PROBE_MS } = options;
  const missing = await notBuilt(families, options);
  const wanted = families.filter((family) => missing.includes(family));
  const origins = new Map(
    await Promise.all(
      wanted.map(async (family) => [family, originsOf(await filesOf(family, options))] as const),
    ),
  );
  const sites = [...new Set([...origins.values()].flat())];
  const answers = await withAgent(options, async (agent) =>
    Promise.all(sites.map((site) => answersWithin(probeMs, site, agent))),
  );
  const unreachable = sites.filter((_, index) => !answers[index]);
  if (unreachable.length > 0) {
    report("downloads", `${unreachable.join(", ")} cannot be reached: building instead`);
  }
  return wanted.filter((family) => {
    const needed = origins.get(family) ?? [];
    return needed.length > 0 && !needed.some((site) => unreachable.includes(site));
  });
}

/**
 * Downloads the official binaries of families into the cache, each checked against its published
 * SHA-256. A family that cannot be downloaded is reported and left out: build it.
 */
export async function downloadTools(
  families: readonly ToolFamily[],
  options: DownloadOptions,
): Promise<void> {
  await withAgent(options, (agent) =>
    pLimit(CONCURRENCY).map(families, (family) => downloadFamily(family, options, agent)),
  );
}

async function downloadFamily(
  family: ToolFamily,
  options: DownloadOptions,
  agent: Dispatcher,
): Promise<void> {
  const { report } = options;
  const { folder, built } = await plannedFamily(family, options);
  const files = await filesOf(family, options);
  try {
    await inCache(family, folder, report, async (draft) => {
      const text = `downloading ${built.version} from ${originsOf(files)[0] ?? ""}`;
      const time = await withProgress(report, family.name, text, () =>
        Promise.all(files.map((file) => downloadPrograms(file, draft, agent))),
      );
      report(family.name, `downloaded in ${time}`);
    });
  } catch (error) {
    if (!(error instanceof InfraError)) throw error;
    report(family.name, `building instead of downloading: ${error.message}`);
  }
}

async function filesOf(
  family: ToolFamily,
  { sites = SITES, ...options }: DownloadOptions,
): Promise<readonly ReleaseFile[]> {
  const arch = ARCHITECTURES[process.arch];
  if (!family.release || !arch || process.platform !== "linux") return [];
  const { version } = (await plannedFamily(family, options)).built;
  return family.release({ sites, version, arch });
}

function originsOf(files: readonly ReleaseFile[]): string[] {
  const urls = files.flatMap(({ url, checksum }) => [url, checksum]);
  return [...new Set(urls.map((url) => new URL(url).origin))];
}

/** Whether a site gives any answer at all. */
function answersWithin(ms: number, site: string, dispatcher: Dispatcher): Promise<boolean> {
  const signal = AbortSignal.timeout(ms);
  return fetch(site, { method: "HEAD", redirect: "manual", signal, dispatcher }).then(
    () => true,
    () => false,
  );
}

/** The agent uses the proxy of HTTPS_PROXY and NO_PROXY, if they are set. */
async function withAgent<T>(
  { stallMs = STALL_MS }: DownloadOptions,
  work: (agent: Dispatcher) => Promise<T>,
): Promise<T> {
  const timeouts = { headersTimeout: stallMs, bodyTimeout: stallMs, connectTimeout: stallMs };
  const agent = new EnvHttpProxyAgent(timeouts);
  try {
    return await work(agent);
  } finally {
    await agent.destroy();
  }
}
