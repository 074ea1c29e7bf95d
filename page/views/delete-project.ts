import { html } from "htm/preact";
import { h, type TargetedInputEvent, type VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import type { ProjectView } from "../../automation/service/schemas/project.ts";
import type { ProjectResource } from "../../core/resources.ts";
import { useStart } from "../lib/action.ts";
import { type ApiError, call } from "../lib/api.ts";
import { Confirm } from "../lib/confirm.ts";
import { useLoaded } from "../lib/load.ts";
import { problem } from "../lib/parts.ts";
import { abandonPreview, Plan } from "../lib/plan.ts";
import { type Step, shortType } from "../lib/progress.ts";

export interface DialogProps {
  readonly project: ProjectView;
  readonly onClose: () => void;
}

interface SlugProps {
  readonly slug: string;
}

/** The resources on record: a project that is half broken has no plan, but must be deletable. */
function Known({ slug }: SlugProps): VNode {
  const { data, error } = useLoaded(slug, (signal) =>
    call<{ items: readonly ProjectResource[] }>("GET", `/v1/projects/${slug}/resources`, {
      signal,
    }),
  );
  return html`<p>
      There is no plan. The deletion asks every system itself, and its operation says what is left.
      ${data && data.items.length > 0 && "On record are:"}
    </p>
    ${problem(error)}
    <ul class="objects">
      ${data?.items.map(({ urn, type, name }) => html`<li key=${urn}><code>${shortType(type)}</code> ${name}</li>`)}
    </ul>`;
}

/** Names everything that goes and what stays. The slug, typed, confirms. */
export function DeleteDialog({ project, onClose }: DialogProps): VNode {
  const { slug, settings } = project;
  const [retainData, setRetainData] = useState(settings.retainData ?? false);
  const [retainRepository, setRetainRepository] = useState(settings.retainRepository ?? false);
  const [plan, setPlan] = useState<OperationView>();
  const [made, setMade] = useState<"made" | "missing">();
  const [typed, setTyped] = useState("");
  const [unplanned, setUnplanned] = useState<ApiError>();
  const { start, ...action } = useStart();
  useEffect(() => {
    let isClosed = false;
    setMade(undefined);
    call<OperationView>("DELETE", `/v1/projects/${slug}`, { query: { dryRun: true } }).then(
      (preview) => (isClosed ? abandonPreview(preview.id) : setPlan(preview)),
      (reason: ApiError) => {
        setUnplanned(reason);
        setMade("missing");
      },
    );
    return () => void (isClosed = true);
  }, [slug]);
  const onConfirm = () =>
    start("DELETE", `/v1/projects/${slug}`, { query: { retainData, retainRepository } });
  const isKept = ({ type }: Step) =>
    (retainData && shortType(type) === "postgres:Database") ||
    (retainRepository && shortType(type) === "gitea:Repository");
  const box = (text: string, value: boolean, set: (value: boolean) => void) =>
    html`<label class="check">
      <input type="checkbox" checked=${value} onChange=${() => set(!value)} /> ${text}
    </label>`;
  const children = html`${box("Keep the database", retainData, setRetainData)}
    ${box("Archive the repository instead of deleting it", retainRepository, setRetainRepository)}
    <div class="columns">
      <section>
        <h3>What goes</h3>
        ${plan && h(Plan, { id: plan.id, isLeftOut: isKept, onReady: () => setMade("made"), onFailure: () => setMade("missing") })}
        ${problem(unplanned)} ${made === "missing" && h(Known, { slug })}
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
      onInput=${({ currentTarget }: TargetedInputEvent<HTMLInputElement>) => setTyped(currentTarget.value)}
    />`;
  return html`${h(Confirm, {
    ...{ title: `Delete ${slug}`, dismiss: "Keep it", confirm: "Delete the project" },
    isReady: made !== undefined && typed === slug,
    ...{ action, onConfirm, onClose, children },
  })}`;
}
