import { html } from "htm/preact";
import { h, type TargetedEvent, type VNode } from "preact";
import type { Statistics } from "../../automation/service/schemas/statistics.ts";
import { call } from "../lib/api.ts";
import { bars, lines } from "../lib/charts.ts";
import { countText, durationText, numberText, sum } from "../lib/format.ts";
import { useLoaded } from "../lib/load.ts";
import { heading, problem } from "../lib/parts.ts";
import { go } from "../lib/router.ts";
import { mayAct } from "../lib/session.ts";
import type { ViewProps } from "../lib/view.ts";
import { RolloutList } from "./rollouts.ts";

const HOUR = 3_600_000;
const REFRESH_MS = 30_000;

const RANGES = { "24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days" } as const;
type Range = keyof typeof RANGES;

/** Operations and projects over time, and the rollouts. */
export function Fleet({ query, caller }: ViewProps): VNode {
  const asked = query.get("range");
  const range: Range = isRange(asked) ? asked : "24h";
  const { data, error } = useLoaded(
    range,
    (signal) => call<Statistics>("GET", "/v1/statistics", { query: { range }, signal }),
    { everyMs: REFRESH_MS },
  );
  const onChange = ({ currentTarget: { value } }: TargetedEvent<HTMLSelectElement>) => {
    go(value === "24h" ? "/fleet" : `/fleet?range=${value}`);
  };
  return html`${heading(
    "Fleet",
    html`<label class="actions"
      >Time
      <select value=${range} onChange=${onChange}>
        ${Object.entries(RANGES).map(
          ([value, text]) =>
            html`<option value=${value} selected=${value === range}>last ${text}</option>`,
        )}
      </select>
    </label>`,
  )}
  ${problem(error)} ${data && charts(data)} ${mayAct(caller, "viewer") && h(RolloutList, {})}`;
}

function charts({ periodMs, periods }: Statistics): VNode {
  const labels = periods.map(({ at }) => labelOf(at, periodMs));
  const ended = (name: "succeeded" | "failed" | "cancelled", look: string) => {
    const values = periods.map((period) => period[name]);
    return { name, legend: `${name} ${numberText(sum(values))}`, look, values };
  };
  const seconds = (value: number) => durationText(value * 1000);
  const projects = periods.map((period) => period.projects);
  const now = projects.at(-1) ?? 0;
  return html`<div class="charts">
    ${bars({
      title: `Operations in each ${spanText(periodMs)}`,
      labels,
      series: [
        ended("failed", "look-bad"),
        ended("cancelled", "look-calm"),
        ended("succeeded", "look-good"),
      ],
      text: numberText,
    })}
    ${bars({
      title: "Failed operations",
      labels,
      series: [ended("failed", "look-bad")],
      text: numberText,
    })}
    ${lines({
      title: "How long operations run",
      labels,
      series: [
        {
          name: "half of them at most",
          look: "look-busy",
          values: periods.map(({ medianSeconds }) => medianSeconds),
        },
        {
          name: "95 % of them at most",
          look: "look-warn",
          values: periods.map(({ p95Seconds }) => p95Seconds),
        },
      ],
      text: seconds,
    })}
    ${bars({
      title: `Projects: ${countText(now, "project")} now`,
      labels,
      series: [{ name: "projects", look: "look-busy", values: projects }],
      text: numberText,
    })}
  </div>`;
}

function isRange(text: string | null): text is Range {
  return text !== null && text in RANGES;
}

function spanText(ms: number): string {
  const hours = ms / HOUR;
  if (hours === 24) return "day";
  return hours === 1 ? "hour" : `${hours} hours`;
}

/** In UTC: `11-27 05:00`, or the day alone. */
function labelOf(at: string, periodMs: number): string {
  return periodMs >= 24 * HOUR ? at.slice(5, 10) : at.slice(5, 16).replace("T", " ");
}
