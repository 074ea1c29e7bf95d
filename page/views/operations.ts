import { html } from "htm/preact";
import type { TargetedEvent, VNode } from "preact";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import { OPERATION_STATES } from "../lib/states.ts";
import { call, queryText } from "../lib/api.ts";
import { useLoaded } from "../lib/load.ts";
import { operationTable } from "../lib/operation-table.ts";
import { heading, problem } from "../lib/parts.ts";
import { go } from "../lib/router.ts";
import type { ViewProps } from "../lib/view.ts";

interface OperationPage {
  readonly items: readonly OperationView[];
  readonly next?: string;
}

const REFRESH = 5_000;

export function Operations({ query }: ViewProps): VNode {
  const state = OPERATION_STATES.find((one) => one === query.get("state")) ?? "";
  const cursor = query.get("cursor") ?? "";
  const page = useLoaded(
    JSON.stringify([state, cursor]),
    (signal) =>
      call<OperationPage>("GET", "/v1/operations", { query: { state, cursor, limit: 50 }, signal }),
    { everyMs: REFRESH },
  );
  const { data } = page;
  const onState = ({ currentTarget }: TargetedEvent<HTMLSelectElement>) =>
    go(`/operations${queryText({ state: currentTarget.value })}`);
  return html` ${heading("Operations")}
    <form class="filters">
      <label>
        State
        <select value=${state} onChange=${onState}>
          <option value="">all</option>
          ${OPERATION_STATES.map((one) => html`<option value=${one}>${one}</option>`)}
        </select>
      </label>
    </form>
    ${problem(page.error)} ${data && operationTable(data.items, true)}
    ${data?.items.length === 0 && html`<p class="note">No operation fits.</p>`}
    <div class="pages">
      ${cursor !== "" && html`<a class="button" href=${`/operations${queryText({ state })}`}>First page</a>`}
      ${data?.next !== undefined && html`<a class="button" href=${`/operations${queryText({ state, cursor: data.next })}`}>Next page</a>`}
    </div>`;
}
