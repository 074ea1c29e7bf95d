import { html } from "htm/preact";
import { h, type VNode } from "preact";
import { useState } from "preact/hooks";
import type { ProjectStatus, ProjectView } from "../../automation/service/schemas/project.ts";
import { useStart } from "../lib/action.ts";
import { Confirm } from "../lib/confirm.ts";
import { driftTable } from "../lib/drift-table.ts";
import { problem } from "../lib/parts.ts";
import { type Caller, mayAct } from "../lib/session.ts";
import { DeleteDialog, type DialogProps } from "./delete-project.ts";

export interface ActionsProps {
  readonly project: ProjectView;
  readonly caller: Caller;
}

const DIALOGS = { stop: StopDialog, fix: FixDialog, delete: DeleteDialog } as const;

/** An up would bring these back, so they have no stop, start or fix. */
const GOING: ReadonlySet<ProjectStatus> = new Set(["deleting", "half-deleted", "deleted"]);

/** What the caller may do with a project. What interrupts it, or takes something away, is confirmed. */
export function Actions({ project, caller }: ActionsProps): VNode {
  const [asked, setAsked] = useState<keyof typeof DIALOGS>();
  const { isBusy, error, start } = useStart();
  const { slug, status, settings, drift } = project;
  const button = (text: string, path: string, body: object = {}) => {
    const method = path === "" ? "PUT" : "POST";
    const onClick = () => start(method, `/v1/projects/${slug}${path}`, { body });
    return html`<button class="button" aria-disabled=${isBusy} onClick=${onClick}>${text}</button>`;
  };
  const ask = (text: string, name: keyof typeof DIALOGS) =>
    html`<button
      class=${name === "delete" ? "button danger" : "button"}
      onClick=${() => setAsked(name)}
    >
      ${text}
    </button>`;
  const operates = mayAct(caller, "operator", slug);
  const exists = status !== "deleted";
  const stays = operates && !GOING.has(status);
  return html`<div class="actions">
      ${operates && exists && button("Check for drift", "/drift/check")}
      ${stays && drift?.state === "drifted" && ask("Fix drift …", "fix")}
      ${operates && exists && button("Preview", "/preview", { of: "up" })}
      ${operates && button(status === "incomplete" ? "Try again" : "Bring up", "")}
      ${stays && (settings.stopped ? button("Start", "/start") : ask("Stop …", "stop"))}
      ${mayAct(caller, "admin", slug) && exists && ask("Delete …", "delete")}
    </div>
    ${problem(error)} ${asked && h(DIALOGS[asked], { project, onClose: () => setAsked(undefined) })}`;
}

function StopDialog({ project: { slug }, onClose }: DialogProps): VNode {
  const { start, ...action } = useStart();
  const children = html`<div class="columns">
    <section>
      <h3>What stops</h3>
      <ul class="objects">
        <li>all pods, with what they are doing</li>
        <li>the site: its host answers with an error</li>
      </ul>
    </section>
    <section>
      <h3>What stays</h3>
      <ul class="objects">
        <li>the data, the repository, the host name and the pipeline</li>
        <li>the sizes: a start brings the same number of pods back</li>
      </ul>
    </section>
  </div>`;
  return html`${h(Confirm, {
    ...{ title: `Stop ${slug}`, dismiss: "Keep it running", confirm: "Stop the project" },
    onConfirm: () => start("POST", `/v1/projects/${slug}/stop`),
    ...{ action, onClose, children },
  })}`;
}

function FixDialog({ project: { slug, drift }, onClose }: DialogProps): VNode {
  const { start, ...action } = useStart();
  const children = html`<p>
      This takes back what others have changed, and restarts pods where that is necessary. It also
      makes every change that "Preview" shows, such as those of a newer version of the program.
    </p>
    ${drift && driftTable(drift)}`;
  return html`${h(Confirm, {
    ...{ title: `Fix the drift of ${slug}`, dismiss: "Leave it", confirm: "Fix the drift" },
    onConfirm: () => start("POST", `/v1/projects/${slug}/drift/fix`),
    ...{ action, onClose, children },
  })}`;
}
