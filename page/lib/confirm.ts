import { html } from "htm/preact";
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Action } from "./action.ts";
import { problem } from "./parts.ts";

export interface ConfirmProps {
  readonly title: string;
  /** The text of the button that changes nothing. */
  readonly dismiss: string;
  readonly confirm: string;
  /** Default: true. */
  readonly isReady?: boolean;
  /** What the confirmation has started. */
  readonly action: Pick<Action, "isBusy" | "error">;
  readonly onConfirm: () => unknown;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** A dialog that says what an action does, before a person confirms it. */
export function Confirm({
  title,
  dismiss,
  confirm,
  isReady = true,
  action: { isBusy, error },
  onConfirm,
  onClose,
  children,
}: ConfirmProps): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const onSubmit = (event: SubmitEvent) => {
    event.preventDefault();
    void onConfirm();
  };
  return html`<dialog ref=${dialog} onClose=${onClose} aria-labelledby="dialog-title">
    <form onSubmit=${onSubmit} class="stack">
      <h2 id="dialog-title" tabindex="-1">${title}</h2>
      ${children} ${problem(error)}
      <div class="actions">
        <button type="button" class="button" onClick=${() => dialog.current?.close()}>
          ${dismiss}
        </button>
        <button class="button danger" disabled=${!isReady} aria-disabled=${isBusy}>
          ${confirm}
        </button>
      </div>
    </form>
  </dialog>`;
}
