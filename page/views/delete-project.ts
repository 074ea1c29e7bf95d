import { html } from "htm/preact";
import { h, type VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import type { ProjectView } from "../../automation/service/schemas/project.ts";
import { useStart } from "../lib/action.ts";
import { type ApiError, call } from "../lib/api.ts";
import { problem } from "../lib/parts.ts";
import { Plan } from "../lib/plan.ts";
import { type Step, shortType } from "../lib/progress.ts";

export interface DeleteDialogProps {
  readonly project: ProjectView;
  readonly onClose: () => void;
}

/** Names everything that goes and what stays. The slug, typed, confirms. */
export function DeleteDialog({ project, onClose }: DeleteDialogProps): VNode {
  const { slug, settings } = project;
  const dialog = useRef<HTMLDialogElement>(null);
  const [retainData, setRetainData] = useState(settings.retainData ?? false);
  const [retainRepository, setRetainRepository] = useState(settings.retainRepository ?? false);
  const [plan, setPlan] = useState<OperationView>();
  const [isReady, setReady] = useState(false);
  const [typed, setTyped] = useState("");
  const [unplanned, setUnplanned] = useState<ApiError>();
  const { isBusy, error, start } = useStart();
  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    setReady(false);
    call<OperationView>("DELETE", `/v1/projects/${slug}`, { query: { dryRun: true } }).then(
      setPlan,
      setUnplanned,
    );
  }, [slug]);
  const remove = (event: SubmitEvent) => {
    event.preventDefault();
    const query = { retainData, retainRepository };
    return start("DELETE", `/v1/projects/${slug}`, { query });
  };
  const isKept = ({ type }: Step) =>
    (retainData && shortType(type) === "postgres:Database") ||
    (retainRepository && shortType(type) === "gitea:Repository");
  const box = (text: string, value: boolean, set: (value: boolean) => void) =>
    html`<label class="check">
      <input type="checkbox" checked=${value} onChange=${() => set(!value)} /> ${text}
    </label>`;
  return html`<dialog ref=${dialog} onClose=${onClose} aria-labelledby="delete-title">
    <form onSubmit=${remove} class="stack">
      <h2 id="delete-title">Delete ${slug}</h2>
      ${box("Keep the database", retainData, setRetainData)}
      ${box("Archive the repository instead of deleting it", retainRepository, setRetainRepository)}
      <div class="columns">
        <section>
          <h3>What goes</h3>
          ${plan && h(Plan, { id: plan.id, isLeftOut: isKept, onReady: () => setReady(true) })}
        </section>
        <section>
          <h3>What stays</h3>
          <ul class="objects">
            ${retainData && html`<li>the database with its data; its role can no longer sign in</li>`}
            ${retainRepository && html`<li>the repository, archived</li>`}
            <li>the audit trail, and this project's record</li>
            <li>everything that rdev-infra did not make for this project</li>
          </ul>
        </section>
      </div>
      <label for="confirm">Type <b>${slug}</b> to confirm</label>
      <input
        id="confirm"
        autocomplete="off"
        spellcheck=${false}
        value=${typed}
        onInput=${(event: InputEvent) => setTyped((event.target as HTMLInputElement).value)}
      />
      ${problem(error ?? unplanned)}
      <div class="actions">
        <button type="button" class="button" onClick=${() => dialog.current?.close()}>
          Keep it
        </button>
        <button
          class="button danger"
          disabled=${!isReady || typed !== slug}
          aria-disabled=${isBusy}
        >
          Delete the project
        </button>
      </div>
    </form>
  </dialog>`;
}
