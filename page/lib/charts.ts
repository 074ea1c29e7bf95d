import { html } from "htm/preact";
import type { VNode } from "preact";
import { sum } from "./format.ts";
import { table } from "./parts.ts";

/** Values in one colour and, for lines, in one dash. */
export interface Series {
  readonly name: string;
  /** Default: the name. */
  readonly legend?: string;
  /** A class of `page/styles/` that gives the colour. */
  readonly look: string;
  /** One a period; null: nothing to show. */
  readonly values: readonly (number | null)[];
}

export interface ChartProps {
  readonly title: string;
  /** One a period. */
  readonly labels: readonly string[];
  readonly series: readonly Series[];
  /** How a number is written: `1.5 s`. */
  readonly text: (value: number) => string;
}

const WIDTH = 600;
const HEIGHT = 120;

/** Stacked bars. With `hrefs`, each bar is a link. */
export function bars({
  title,
  labels,
  series,
  text,
  hrefs,
}: ChartProps & { readonly hrefs?: readonly string[] }): VNode {
  const totals = labels.map((_, at) => sum(series.map(({ values }) => values[at] ?? 0)));
  const top = niceTop(Math.max(...totals, 0));
  const width = WIDTH / Math.max(1, labels.length);
  const columns = labels.map((label, at) => {
    let below = 0;
    const parts = series.map(({ look, values }) => {
      const height = ((values[at] ?? 0) / top) * HEIGHT;
      below += height;
      if (height === 0) return null;
      return html`<rect
        class=${look}
        x=${at * width + 0.5}
        y=${HEIGHT - below}
        width=${Math.max(1, width - 1)}
        height=${height}
      />`;
    });
    const said = describe(label, series, at, text);
    const target = html`<rect
      class="target"
      x=${at * width}
      y="0"
      width=${width}
      height=${HEIGHT}
    />`;
    const href = hrefs?.[at];
    return href === undefined || totals[at] === 0
      ? html`<g><title>${said}</title>${target}${parts}</g>`
      : html`<a href=${href} aria-label=${said}><title>${said}</title>${target}${parts}</a>`;
  });
  return frame({ title, labels, series, text }, top, columns, hrefs !== undefined);
}

/** Lines. A period without a value interrupts its line. */
export function lines(props: ChartProps): VNode {
  const { labels, series } = props;
  const all = series.flatMap(({ values }) => values.map((value) => value ?? 0));
  const top = niceTop(Math.max(...all, 0));
  const step = WIDTH / Math.max(1, labels.length);
  const paths = series.map(({ look, values }) => {
    let isDrawing = false;
    const path = values.map((value, at) => {
      if (value === null) {
        isDrawing = false;
        return "";
      }
      const point = `${(at + 0.5) * step} ${HEIGHT - (value / top) * HEIGHT}`;
      const part = isDrawing ? `L${point}` : `M${point}h0.01`;
      isDrawing = true;
      return part;
    });
    return html`<path class="line ${look}" d=${path.join("")} />`;
  });
  return frame(props, top, paths, false);
}

function frame(
  { title, labels, series, text }: ChartProps,
  top: number,
  content: readonly VNode[],
  hasLinks: boolean,
): VNode {
  const legend = series.map(
    ({ name, legend: shown = name, look }) =>
      html`<li>
        <svg class="key" viewBox="0 0 12 12" aria-hidden="true">
          <rect class=${look} width="12" height="12" />
        </svg>
        ${shown}
      </li>`,
  );
  const numbers = series.map(({ name }) => ({ number: name }));
  const rows = labels.map(
    (label, at) =>
      html`<tr>
        <th scope="row">${label}</th>
        ${series.map(({ values }) => {
          const value = values[at] ?? null;
          return html`<td class="number">${value === null ? "–" : text(value)}</td>`;
        })}
      </tr>`,
  );
  // A picture with links in it is a group: a role of an image would hide them.
  const role = hasLinks ? "group" : "img";
  return html`<figure class="chart">
    <figcaption>${title}</figcaption>
    <div class="plot">
      <span class="top" aria-hidden="true">${text(top)}</span>
      <svg
        role=${role}
        aria-label=${title}
        viewBox="0 0 ${WIDTH} ${HEIGHT}"
        preserveAspectRatio="none"
      >
        <path class="grid" d="M0 0.5H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}" />
        ${content}
      </svg>
    </div>
    <div class="ends" aria-hidden="true">
      <span>${labels[0]}</span><span>${labels.at(-1)}</span>
    </div>
    <ul class="legend">
      ${legend}
    </ul>
    <details>
      <summary>Numbers</summary>
      ${table(`Numbers of ${title}`, ["Time", ...numbers], rows)}
    </details>
  </figure>`;
}

function describe(
  label: string,
  series: readonly Series[],
  at: number,
  text: (value: number) => string,
): string {
  const parts = series
    .filter(({ values }) => (values[at] ?? 0) > 0)
    .map(({ name, values }) => `${text(values[at] ?? 0)} ${name}`);
  return `${label}: ${parts.length > 0 ? parts.join(", ") : "nothing"}`;
}

/** The next larger of 1, 2, 5, 10, 20, 50 and so on. */
function niceTop(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((nice) => nice >= value) ?? value;
}
