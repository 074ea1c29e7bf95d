import { html } from "htm/preact";
import type { VNode } from "preact";
import { heading } from "../lib/parts.ts";

/** In place of a view whose module could not be loaded. */
export function Unloaded(): VNode {
  return html`${heading("This view could not be loaded")}
    <div class="problem" role="alert">
      <p>
        The service did not answer, or it has another version than this page. Nothing is lost: load
        the page again, or ask an administrator if that does not help.
      </p>
      <div class="actions">
        <button class="button main" onClick=${() => location.reload()}>Load the page again</button>
      </div>
    </div>`;
}
