/**
 * Measures the first view of the page, the list of projects, from the navigation to the frame with its
 * rows: `npm run bench:page [-- --runs 20] [--projects 5000] [--no-bounds]`. The service, its database and
 * the browser are on this machine. "First": the browser has nothing of the page. "Again": it has the files.
 * The CPU time is that of the page's process in the browser, and that of this process, which has the service
 * and controls the browser.
 */
import { parseArgs } from "node:util";
import { PageStage } from "../tests/support/page.ts";
import { Bounds } from "./bounds.ts";
import { machine, milliseconds } from "./machine.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "20" },
    projects: { type: "string", default: "5000" },
    bounds: { type: "boolean", default: true },
  },
  allowNegative: true,
});
const bounds = new Bounds(values.bounds, {
  "ms of the first view, median": { atMost: 200 },
  "kB of the first view": { atMost: 150 },
});

/** Reports the ms from the navigation to the frame with the first row. */
const WATCH = `new MutationObserver((_, observer) => {
  if (!document.querySelector("tbody tr")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => drawn(performance.now())));
}).observe(document, { childList: true, subtree: true })`;

const stage = await PageStage.open();
try {
  console.log(machine());
  await stage.admin(`
    INSERT INTO projects (slug, platform, name, settings, outputs)
    SELECT 'app-' || lpad(n::text, 4, '0'), 'staging', 'App ' || n, '{"sizes": {"replicas": 2}}',
           '{"url": "https://app.example.test", "image": "registry.example.test/app:0123456789abcdef"}'
    FROM generate_series(1, ${Number(values.projects)}) n`);
  await measure(); // the service compiles its code
  const all = [];
  for (let run = 0; run < Number(values.runs); run += 1) all.push(await measure());
  const first = all.map((one) => one.first);
  report("first", first);
  report(
    "again",
    all.map((one) => one.again),
  );
  report(
    "CPU of first: the page",
    all.map((one) => one.cpu.page),
  );
  report(
    "CPU of first: the service",
    all.map((one) => one.cpu.service),
  );
  const kilobytes = Math.max(...all.map(({ bytes }) => bytes)) / 1000;
  console.log(`over the wire, at first: ${kilobytes.toFixed(1)} kB`);
  bounds.check(
    "ms of the first view, median",
    first.toSorted((a, b) => a - b)[first.length >> 1] ?? 0,
  );
  bounds.check("kB of the first view", kilobytes);
} finally {
  await stage.close();
}

function report(what: string, times: readonly number[]): void {
  const [median, most] = [milliseconds(times, 0.5), milliseconds(times, 0.95)];
  console.log(`${what}: median ${median}, 95 % at most ${most}`);
}

/** A window with an empty cache opens the page twice. */
async function measure(): Promise<{
  first: number;
  again: number;
  bytes: number;
  cpu: { page: number; service: number };
}> {
  const page = await stage.visit("/healthz");
  let next = Promise.withResolvers<number>();
  await page.exposeFunction("drawn", (at: number) => next.resolve(at));
  await page.addInitScript(WATCH);
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  let bytes = 0;
  session.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  const drawn = async () => {
    next = Promise.withResolvers<number>();
    await page.goto(`${stage.url}/`);
    return next.promise;
  };
  await session.send("Performance.enable");
  const pageCpu = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return 1_000 * (metrics.find(({ name }) => name === "ProcessTime")?.value ?? NaN);
  };
  const pageBefore = await pageCpu();
  const serviceBefore = process.cpuUsage();
  const first = await drawn();
  const { user, system } = process.cpuUsage(serviceBefore);
  const cpu = { page: (await pageCpu()) - pageBefore, service: (user + system) / 1_000 };
  const firstBytes = bytes;
  const again = await drawn();
  await page.context().close();
  return { first, again, bytes: firstBytes, cpu };
}
