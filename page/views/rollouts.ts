import { html } from "htm/preact";
import type { VNode } from "preact";
import type { RolloutState } from "../../core/rollout.ts";
import type { RolloutView } from "../../automation/service/schemas/rollout.ts";
import { call } from "../lib/api.ts";
import { sum } from "../lib/format.ts";
import { useLoaded } from "../lib/load.ts";
import { ago, badge, problem, table, type Tone } from "../lib/parts.ts";

const REFRESH_MS = 5_000;

const TONES: Readonly<Record<RolloutState, Tone>> = {
  planning: "busy",
  planned: "busy",
  running: "busy",
  paused: "calm",
  cancelling: "busy",
  succeeded: "good",
  incomplete: "bad",
  stopped: "bad",
  cancelled: "calm",
};

export const rolloutBadge = (state: RolloutState): VNode => badge(TONES[state], state);

/** How far a rollout is, as a person says it. */
export function progressText({ totals, wave, waves }: RolloutView): string {
  const all = sum(Object.values(totals));
  const parts = [`${totals.succeeded} of ${all} projects`, `wave ${wave} of ${waves}`];
  if (totals.failed > 0) parts.push(`${totals.failed} failed`);
  if (totals.held > 0) parts.push(`${totals.held} held back`);
  return parts.join(", ");
}

/** The newest rollouts. */
export function RolloutList(): VNode {
  const { data, error } = useLoaded(
    "rollouts",
    (signal) =>
      call<{ readonly items: readonly RolloutView[] }>("GET", "/v1/rollouts", {
        query: { limit: 20 },
        signal,
      }),
    { everyMs: REFRESH_MS },
  );
  const rows = data?.items.map(
    (rollout) =>
      html`<tr>
        <th scope="row">
          <a href="/fleet/rollouts/${rollout.id}">${rollout.version}</a>
        </th>
        <td>${rolloutBadge(rollout.state)}</td>
        <td>${progressText(rollout)}</td>
        <td>${rollout.actor}</td>
        <td>${ago(rollout.createdAt)}</td>
      </tr>`,
  );
  return html`<section>
    <h2>Rollouts</h2>
    ${problem(error)} ${rows?.length === 0 && html`<p class="soft">Nobody has started one.</p>`}
    ${
      rows &&
      rows.length > 0 &&
      table("Rollouts", ["Version", "State", "Progress", "By", "Started"], rows)
    }
  </section>`;
}
