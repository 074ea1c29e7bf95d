import { html } from "htm/preact";
import type { ComponentChildren, VNode } from "preact";
import type { ApiError } from "./api.ts";
import { agoText, linkTarget, localTime } from "./format.ts";

// Small parts that several views use. They are called as functions, so that their arguments are checked.

/** Tones of a state. Each has a sign, because a colour alone says nothing to some people. */
export type Tone = "good" | "busy" | "bad" | "warn" | "calm";

const SIGNS: Readonly<Record<Tone, string>> = {
  good: "✓",
  busy: "●",
  bad: "✕",
  warn: "!",
  calm: "–",
};

export function badge(tone: Tone, text: string): VNode {
  return html`<span class="badge ${tone}"
    ><span aria-hidden="true">${SIGNS[tone]}</span>${text}</span
  >`;
}

/** A time as people say it, with the exact one as its title. */
export function ago(at: string | undefined): VNode | null {
  if (at === undefined) return null;
  return html`<time datetime=${at} title=${localTime(at)}>${agoText(at, Date.now())}</time>`;
}

/** A link to another system, if the text is a safe address; else the text. */
export function outside(address: unknown, text: string): VNode | null {
  const target = linkTarget(address);
  if (target === undefined) return null;
  return html`<a href=${target} target="_blank" rel="noreferrer"
    >${text}<span class="unseen"> (new tab)</span></a
  >`;
}

/** A refusal with everything that was wrong. */
export function problem(error: ApiError | undefined): VNode | null {
  if (!error) return null;
  const items = error.items.map(
    ({ pointer, detail }) => html`<li><code>${pointer.replace(/^#\//, "")}</code> ${detail}</li>`,
  );
  return html`<div class="problem" role="alert">
    <p>
      ${items.length > 0 ? "The request was refused:" : error.message} <code>${error.code}</code>
    </p>
    ${
      items.length > 0 &&
      html`<ul>
        ${items}
      </ul>`
    }
  </div>`;
}

/** A column of a table: its title, and whether it has numbers. */
type Column = string | { readonly number: string };

/** A table that scrolls sideways on small screens. Columns that are false are left out. */
export function table(
  label: string,
  columns: readonly (Column | VNode | false)[],
  rows: ComponentChildren,
): VNode {
  const heads = columns.map((column) => {
    if (typeof column === "string") return html`<th scope="col">${column}</th>`;
    if (column === false || !("number" in column)) return column;
    return html`<th scope="col" class="number">${column.number}</th>`;
  });
  return html`<div class="scroll" role="region" aria-label=${label} tabindex="0">
    <table>
      <thead>
        <tr>
          ${heads}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

/** The heading of a view. The router gives it the focus, so that a screen reader reads it. */
export function heading(text: string, beside: ComponentChildren = null): VNode {
  return html`<div class="heading">
    <h1 tabindex="-1">${text}</h1>
    ${beside}
  </div>`;
}
