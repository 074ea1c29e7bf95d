import { html } from "htm/preact";
import { h, type TargetedSubmitEvent, type VNode } from "preact";
import { useRef } from "preact/hooks";
import type {
  RolloutReport,
  RolloutStack,
  RolloutStackState,
  RolloutState,
} from "../../core/rollout.ts";
import type { RolloutView } from "../../automation/service/schemas/rollout.ts";
import { announce } from "../lib/announce.ts";
import { useAction } from "../lib/action.ts";
import { call } from "../lib/api.ts";
import { useLoaded } from "../lib/load.ts";
import { ago, badge, heading, problem, table, type Tone } from "../lib/parts.ts";
import { shortType } from "../lib/progress.ts";
import { propertyChanges } from "../lib/property-changes.ts";
import { mayAct } from "../lib/session.ts";
import type { ViewProps } from "../lib/view.ts";
import { progressText, rolloutBadge } from "./rollouts.ts";

const REFRESH_MS = 2_000;

const TONES: Readonly<Record<RolloutStackState, Tone>> = {
  waiting: "calm",
  planning: "busy",
  planned: "calm",
  running: "busy",
  succeeded: "good",
  failed: "bad",
  held: "bad",
  skipped: "calm",
};

/** The actions of a state, besides "cancel", with their texts. */
const CHANGES: Readonly<Partial<Record<RolloutState, readonly [action: string, text: string]>>> = {
  running: ["pause", "Pause"],
  paused: ["resume", "Resume"],
};

interface Found {
  readonly rollout: RolloutView;
  readonly projects: readonly RolloutStack[];
  readonly report: RolloutReport;
}

/** A rollout: its plan or result, its waves, and what is held back. */
export function Rollout({ params, caller }: ViewProps): VNode {
  const path = `/v1/rollouts/${params["id"] ?? ""}`;
  const { data, error, reload } = useLoaded(
    path,
    async (signal): Promise<Found> => {
      // First, so that an approval names a plan that is not newer than the report beside it.
      const rollout = await call<RolloutView>("GET", path, { signal });
      const [{ items: projects }, report] = await Promise.all([
        call<{ readonly items: readonly RolloutStack[] }>("GET", `${path}/projects`, { signal }),
        call<RolloutReport>("GET", `${path}/report`, { signal }),
      ]);
      return { rollout, projects, report };
    },
    { everyMs: REFRESH_MS },
  );
  const { isBusy, error: refusal, run } = useAction();
  const actedOn = useRef<Found>(undefined);
  if (!data) return html`${heading("Rollout")} ${problem(error)}`;
  const { rollout, projects, report } = data;
  // Until the next answer, the buttons are those of the state before.
  const isDone = isBusy || actedOn.current === data;
  const act = async (action: string, body?: object) => {
    if (isDone) return;
    await run(async () => {
      await call("POST", `${path}/${action}`, { ...(body && { body }) });
      actedOn.current = data;
      announce(`The rollout: ${action}`);
    });
    reload();
  };
  const button = (action: string, text: string) => {
    // The second click of a double click would press "Resume", which takes the place of "Pause".
    const onClick = ({ detail }: MouseEvent) => void (detail < 2 && act(action));
    return html`<button class="button" aria-disabled=${isDone} onClick=${onClick}>${text}</button>`;
  };
  const mayOperate = mayAct(caller, "operator");
  const change = CHANGES[rollout.state];
  const isOpen = rollout.endedAt === undefined;
  return html`${heading(
      `Rollout of ${rollout.version}`,
      html`${rolloutBadge(rollout.state)}
        <div class="actions">
          ${mayOperate && change && button(...change)}
          ${mayOperate && isOpen && button("cancel", "Cancel")}
        </div>`,
    )}
    ${problem(refusal ?? error)}
    <p role="status">${progressText(rollout)} ${rollout.reason}</p>
    <p class="soft">Started by ${rollout.actor} ${ago(rollout.createdAt)}</p>
    ${
      rollout.state === "planned" &&
      mayAct(caller, "approver") &&
      h(Approval, {
        ...{ rollout, projects, isDone, mayLoseData: mayAct(caller, "admin") },
        onApprove: (body) => act("approve", body),
      })
    }
    ${plan(report)} ${projectTable(projects)}`;
}

interface ApprovalProps {
  readonly rollout: RolloutView;
  readonly projects: readonly RolloutStack[];
  /** True while an approval is under way. */
  readonly isDone: boolean;
  /** Only an administrator may approve the loss of data. */
  readonly mayLoseData: boolean;
  readonly onApprove: (body: object) => Promise<void>;
}

/** Names the plan that is shown, so the service refuses the approval if there is another one by now. */
function Approval({ rollout, projects, isDone, mayLoseData, onApprove }: ApprovalProps): VNode {
  const losing = projects.filter(({ losesData }) => losesData).map(({ slug }) => slug);
  const approve = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    void onApprove({ plan: rollout.plan, dataLoss: data.has("dataLoss") });
  };
  return html`<form class="note stack" onSubmit=${approve}>
    <p>Nothing is changed before the plan below is approved.</p>
    ${
      losing.length > 0 &&
      (mayLoseData
        ? html`<label class="check"
            ><input type="checkbox" name="dataLoss" />
            <span
              >Also lose the data of ${losing.join(", ")}; otherwise these projects are held
              back</span
            ></label
          >`
        : html`<p>
            ${losing.join(", ")}: held back, because the plan loses their data, and only an
            administrator may approve that.
          </p>`)
    }
    <button class="button main" aria-disabled=${isDone}>Approve the plan</button>
  </form>`;
}

function plan({ of: kind, severe, failed, changed, unchanged }: RolloutReport): VNode {
  const groups = [...severe, ...failed, ...changed].map(
    ({ stacks, changes, findings, errors }) =>
      html`<details open=${stacks.length > 0}>
        <summary>${stacks.join(", ")}</summary>
        <ul>
          ${errors.map(({ message }) => html`<li class="wrong">${message}</li>`)}
          ${findings.map(({ message }) => html`<li class="wrong">${message}</li>`)}
          ${changes.map(
            (change) =>
              html`<li>
                <b>${change.op}</b> <code>${shortType(change.type)}</code> ${change.name}
                ${propertyChanges(change)}
              </li>`,
          )}
        </ul>
      </details>`,
  );
  return html`<section aria-labelledby="plan">
    <h2 id="plan">${kind === "plan" ? "Plan" : "Result"}</h2>
    ${groups.length === 0 && unchanged.length === 0 && html`<p class="soft">Not known yet.</p>`}
    ${groups}
    ${unchanged.length > 0 && html`<p class="soft">Unchanged: ${unchanged.join(", ")}</p>`}
  </section>`;
}

/** Problems come first. */
const ORDER: readonly RolloutStackState[] = [
  "failed",
  "held",
  "running",
  "planning",
  "waiting",
  "planned",
  "skipped",
  "succeeded",
];

function projectTable(projects: readonly RolloutStack[]): VNode {
  const sorted = projects.toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  const rows = sorted.map(({ slug, wave, state, reason, operation, preview }) => {
    const id = operation ?? preview;
    return html`<tr>
      <th scope="row"><a href="/projects/${slug}">${slug}</a></th>
      <td class="number">${wave}</td>
      <td>${badge(TONES[state], state)}</td>
      <td>${reason && html`<code>${reason.code}</code> ${reason.message}`}</td>
      <td>${id && html`<a href="/operations/${id}">${operation ? "up" : "preview"}</a>`}</td>
    </tr>`;
  });
  return html`<section>
    <h2>Projects</h2>
    ${table("Projects", ["Project", { number: "Wave" }, "State", "Why", "Operation"], rows)}
  </section>`;
}
