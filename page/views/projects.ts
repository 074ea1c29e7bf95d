import { html } from "htm/preact";
import type { VNode } from "preact";
import { heading } from "../lib/parts.ts";
import type { ViewProps } from "../lib/view.ts";

export function Projects(_props: ViewProps): VNode {
  return html`${heading("Projects")}`;
}
