import { html } from "htm/preact";
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import type { Change, StackPlan } from "../../core/previews/model.ts";
import { announce } from "../lib/announce.ts";
import { useCancel } from "../lib/action.ts";
import { countText, durationText } from "../lib/format.ts";
import { ago, badge, heading, problem, table, type Tone } from "../lib/parts.ts";
import { countSteps, type Message, type Progress, shortType, type Step } from "../lib/progress.ts";
import { propertyChanges } from "../lib/property-changes.ts";
import { mayAct } from "../lib/session.ts";
import { isCancellable, isOpen, operationBadge } from "../lib/states.ts";
import { useOperation } from "../lib/use-operation.ts";
import type { ViewProps } from "../lib/view.ts";

/** In ms, between two steps of the clock of a running operation. */
const TICK = 500;

export function Operation({ params, caller }: ViewProps): VNode {
  const id = params["id"];
  const { operation, progress, state, isConnected, error } = useOperation(id);
  const { isBusy, error: refused, cancel } = useCancel(id);
  useEffect(() => {
    if (operation) announce(`${operation.request.kind} of ${operation.slug}: ${state}`);
  }, [operation?.id, state]);
  const now = useClock(isOpen(state));
  if (!operation) return html`${heading("Operation")} ${problem(error)}`;
  const { slug, actor, createdAt, startedAt, endedAt, outcome, remaining } = operation;
  const mayCancel = isCancellable(state) && mayAct(caller, "operator", slug);
  const began = Date.parse(startedAt ?? createdAt);
  const until = endedAt === undefined ? now : Date.parse(endedAt);
  return html` ${heading(
      `${titleOf(operation)} of ${slug}`,
      html`${operationBadge(state)}
        <div class="actions">
          <a class="button" href=${`/projects/${slug}`}>Project</a>
          ${mayCancel && html`<button class="button danger" aria-disabled=${isBusy} onClick=${cancel}>Cancel</button>`}
        </div>`,
    )}
    <p class="soft">
      ${actor} asked ${ago(createdAt)} · ${durationText(Math.max(0, until - began))}
      ${progress.attempts > 1 && html` · attempt ${progress.attempts}`}
      ${isOpen(state) && !isConnected && html` · ${badge("warn", "connecting again")}`}
    </p>
    ${problem(error)} ${problem(refused)} ${bar(progress, state)} ${errorsOf(outcome)}
    ${remaining.length > 0 && left(remaining)} ${steps(progress, outcome?.plan, state, until)}
    ${messages(progress.messages)}`;
}

function titleOf({ request }: OperationView): string {
  if (request.kind !== "preview") return request.kind;
  return request.of === "destroy" ? "preview of the destroy" : "preview";
}

function useClock(isRunning: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isRunning) return undefined;
    const timer = setInterval(() => setNow(Date.now()), TICK);
    return () => clearInterval(timer);
  }, [isRunning]);
  return now;
}

function bar(progress: Progress, state: OperationView["state"]): VNode {
  const { done, failed, known } = countSteps(progress);
  const text =
    state === "queued"
      ? "It waits for another operation of the project."
      : `${done} of ${countText(known, "resource")} done${failed > 0 ? `, ${failed} failed` : ""}`;
  return html`<p>${text}</p>`;
}

function errorsOf(outcome: OperationView["outcome"]): VNode | null {
  if (!outcome || outcome.errors.length === 0) return null;
  return html`<section aria-label="Errors">
    ${outcome.errors.map(
      ({ code, message, urn }) =>
        html`<div class="problem">
          ${urn !== undefined && html`<p><b>${urn.split("::").at(-1)}</b></p>`}
          <pre>${message}</pre>
          ${
            code !== undefined &&
            html`<p>
              <a href=${`/problems/${code}`} target="_blank" rel="noreferrer"
                ><code>${code}</code></a
              >
            </p>`
          }
        </div>`,
    )}
  </section>`;
}

function left(remaining: OperationView["remaining"]): VNode {
  return html`<section>
    <h2>What is left</h2>
    <ul class="objects">
      ${remaining.map(({ system, what, why }) => html`<li>${what} <span class="soft">${system}</span> ${badge(why === "retained" ? "calm" : "warn", why)}</li>`)}
    </ul>
  </section>`;
}

const STEP_TONES: Readonly<Record<Step["state"], Tone>> = {
  working: "busy",
  done: "good",
  failed: "bad",
};

/** A resource that an interrupted operation did not end lasts until the operation's end. */
function steps(
  progress: Progress,
  plan: StackPlan | undefined,
  state: OperationView["state"],
  until: number,
): VNode | null {
  const rows = [...progress.steps.values()].filter(({ isGroup }) => !isGroup);
  if (rows.length === 0) return null;
  const openMs = until - (progress.startedAt ?? until);
  const endOf = ({ startMs, durationMs = openMs - startMs }: Step) =>
    startMs + Math.max(0, durationMs);
  const total = Math.max(1, ...rows.map(endOf));
  const changes = new Map(plan?.changes.map((change) => [change.urn, change]));
  return html`<h2>Resources</h2>
    ${table(
      "Resources",
      ["Resource", "Type", "State", { number: "Time" }, "Timeline"],
      rows.map((step) => row(step, changes.get(step.urn), endOf(step), total, isOpen(state))),
    )}`;
}

function row(
  step: Step,
  change: Change | undefined,
  endMs: number,
  totalMs: number,
  isRunning: boolean,
): VNode {
  const { urn, name, type, op, changed, startMs, durationMs } = step;
  const isLost = step.state === "working" && !isRunning;
  const left = (startMs / totalMs) * 100;
  const width = Math.max(0.5, ((endMs - startMs) / totalMs) * 100);
  return html`<tr key=${urn}>
    <th scope="row">${name}</th>
    <td>
      <code>${shortType(type)}</code> ${
        (change && propertyChanges(change)) ??
        (changed.length > 0 && html`<div class="soft">${changed.join(", ")}</div>`)
      }
    </td>
    <td>${isLost ? badge("bad", `${op}, not ended`) : badge(STEP_TONES[step.state], op)}</td>
    <td class="number">${durationText(durationMs ?? Math.max(0, endMs - startMs))}</td>
    <td class="timeline">
      <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
        <rect class=${step.state} x=${left} y="2" width=${Math.min(width, 100 - left)} height="6" />
      </svg>
    </td>
  </tr>`;
}

const MESSAGE_TONES: Readonly<Record<Message["severity"], Tone>> = {
  info: "calm",
  warning: "warn",
  error: "bad",
};

function messages(list: readonly Message[]): VNode | null {
  if (list.length === 0) return null;
  return html`<h2>Messages</h2>
    <div class="messages" role="log" aria-label="Messages" tabindex="0">
      <ol>
        ${list.map(
          ({ number, severity, text }) =>
            html`<li key=${number}>
              ${badge(MESSAGE_TONES[severity], severity)}
              <pre>${text}</pre>
            </li>`,
        )}
      </ol>
    </div>`;
}
