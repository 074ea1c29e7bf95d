import { html } from "htm/preact";
import type { VNode } from "preact";
import { heading } from "../lib/parts.ts";

export function Missing(): VNode {
  return html`${heading("There is no such view")}
    <p><a href="/projects">All projects</a></p>`;
}
