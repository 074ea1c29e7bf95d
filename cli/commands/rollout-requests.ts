import type { Command } from "commander";
import type { MergedRollout } from "../../core/merged-rollout.ts";
import { wholeNumber } from "../options.ts";
import { printable } from "../text.ts";

export function addRolloutRequests(rollout: Command): void {
  const requests = rollout
    .command("requests")
    .description("requests to roll out merged pull requests, which wait for a service's version");
  requests
    .command("list")
    .description("list the newest requests, newest first")
    .option("--state <state>", "only this state, such as waiting")
    .option("--limit <requests>", "1 to 200", wholeNumber(1, 200), 20)
    .option("--json", "print each request as JSON")
    .action(list);
  requests
    .command("cancel <id>")
    .description("cancel a request that waits")
    .option("--json", "print the request as JSON")
    .action(cancel);
}

interface ListOptions {
  readonly state?: string;
  readonly limit: number;
  readonly json?: true;
}

async function list({ state, limit, json }: ListOptions): Promise<void> {
  const { api, requestPage } = await open();
  const query = { state, limit };
  const { items } = await api.call("GET", "/v1/rollouts/requests", requestPage, { query });
  for (const request of items) print(request, json);
  if (items.length === 0) console.error("No requests.");
}

async function cancel(id: string, { json }: { json?: true }): Promise<void> {
  const { api, requestSchema } = await open();
  const path = `/v1/rollouts/requests/${encodeURIComponent(id)}/cancel`;
  print(await api.call("POST", path, requestSchema), json);
}

/** `<id>  2026-…  #7 at c0ffee1234, 1.0.0+new: waiting until 2026-…, by user:ada`. */
function print(request: MergedRollout, json: true | undefined): void {
  if (json) return console.log(JSON.stringify(request));
  const { id, createdAt, pullRequest, commit, version, state, actor } = request;
  const what = `#${pullRequest} at ${commit.slice(0, 10)}, ${version}`;
  console.log(printable(`${id}  ${createdAt}  ${what}: ${state}${detail(request)}, by ${actor}`));
}

function detail({ state, expiresAt, rollout, reason }: MergedRollout): string {
  if (state === "waiting") return ` until ${expiresAt}`;
  if (rollout !== undefined) return ` as rollout ${rollout}`;
  return reason === undefined ? "" : ` (${reason})`;
}

/** Loads the modules that only these commands need. */
async function open() {
  const [{ ApiClient }, { mergedRollout }, { pageOf }] = await Promise.all([
    import("../api/client.ts"),
    import("../../core/merged-rollout.ts"),
    import("../../automation/service/schemas/page.ts"),
  ]);
  return { api: new ApiClient(), requestSchema: mergedRollout, requestPage: pageOf(mergedRollout) };
}
