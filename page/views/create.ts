import { html } from "htm/preact";
import { h, type VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import type { ProjectView } from "../../automation/service/schemas/project.ts";
import { slugFromName } from "../../core/slug.ts";
import { useAction, useStart } from "../lib/action.ts";
import { call } from "../lib/api.ts";
import { heading, problem } from "../lib/parts.ts";
import { Plan } from "../lib/plan.ts";
import { mayActSomewhere } from "../lib/session.ts";
import type { ViewProps } from "../lib/view.ts";

/** A quantity of Kubernetes: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
const QUANTITY = "[0-9]+(\\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?";

/** Sizes of the form, with what a field accepts. All others are the platform's. */
const SIZES = [
  { name: "replicas", text: "Replicas", type: "number", min: 0, max: 20 },
  { name: "cpuLimit", text: "CPU limit of a pod", type: "text", pattern: QUANTITY },
  { name: "memoryLimit", text: "Memory limit of a pod", type: "text", pattern: QUANTITY },
  { name: "databaseConnections", text: "Database sessions", type: "number", min: 1, max: 500 },
] as const;

/** In ms, after the last key before the service is asked whether the slug is free. */
const TYPING = 300;

export function Create({ caller }: ViewProps): VNode {
  const [name, setName] = useState("");
  const [isTaken, setTaken] = useState(false);
  const [plan, setPlan] = useState<{ id: string; body: object }>();
  const [isReady, setReady] = useState(false);
  const planning = useAction();
  const creating = useStart();
  const edits = useRef(0);
  const { slug, wrong } = slugOf(name);
  useEffect(() => {
    setTaken(false);
    if (slug === undefined) return undefined;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      call<ProjectView>("GET", `/v1/projects/${slug}`, { signal: stop.signal }).then(
        ({ status }) => setTaken(status !== "deleted"),
        () => undefined,
      );
    }, TYPING);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [slug]);
  if (!mayActSomewhere(caller, "operator")) {
    return html`${heading("Create a project")}
      <p class="note">Your role does not allow this.</p>`;
  }
  const preview = (event: SubmitEvent) => {
    event.preventDefault();
    if (slug === undefined) return;
    const body = bodyOf(new FormData(event.target as HTMLFormElement), name);
    void planning.run(async () => {
      const before = edits.current;
      setReady(false);
      setPlan(undefined);
      const { id } = await call<OperationView>("POST", `/v1/projects/${slug}/preview`, {
        body: { settings: body },
      });
      // The plan of a form that has changed meanwhile would have another project's name beside it.
      if (edits.current === before) setPlan({ id, body });
    });
  };
  const create = () => plan && creating.start("POST", "/v1/projects", { body: plan.body });
  const onInput = () => {
    edits.current += 1;
    setPlan(undefined);
  };
  const problems = wrong ?? (isTaken ? `A project ${slug} exists already.` : undefined);
  return html` ${heading("Create a project")}
    <form class="stack form" onSubmit=${preview} onInput=${onInput}>
      <label for="name">Name</label>
      <input
        id="name"
        name="name"
        required
        maxlength="100"
        autocomplete="off"
        value=${name}
        aria-invalid=${name !== "" && problems !== undefined}
        aria-describedby="slug"
        onInput=${(event: InputEvent) => setName((event.target as HTMLInputElement).value)}
      />
      <p
        id="slug"
        class=${name !== "" && problems !== undefined ? "wrong" : "hint"}
        aria-live="polite"
      >
        ${name === "" ? "The slug is derived from it." : (problems ?? html`Slug: <code>${slug}</code>`)}
      </p>
      <label for="template">Template</label>
      <input id="template" name="template" value="skeleton" required pattern="[a-z][a-z0-9\\-]*" />
      <details>
        <summary>Sizes</summary>
        <p class="hint">A field that is left empty has the platform's value.</p>
        ${SIZES.map(
          ({ name: size, text, ...rules }) =>
            html`<label for=${size}>${text}</label> <input id=${size} name=${size} ...${rules} />`,
        )}
      </details>
      <label class="check"
        ><input type="checkbox" name="retainData" /> On delete: keep the database</label
      >
      ${problem(planning.error ?? creating.error)}
      <button class="button" disabled=${problems !== undefined} aria-disabled=${planning.isBusy}>
        Show the plan
      </button>
    </form>
    ${plan && h(Plan, { key: plan.id, id: plan.id, onReady: () => setReady(true) })}
    ${plan && html`<button class="button main" disabled=${!isReady} aria-disabled=${creating.isBusy} onClick=${create}>Create ${slug}</button>`}`;
}

function slugOf(name: string): { slug?: string; wrong?: string } {
  try {
    return { slug: slugFromName(name) };
  } catch (error) {
    return { wrong: (error as Error).message };
  }
}

function bodyOf(form: FormData, name: string): object {
  const text = (field: string) => {
    const value = form.get(field);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const sizes = SIZES.flatMap(({ name: field, type }) => {
    const value = text(field);
    return value === undefined ? [] : [[field, type === "number" ? Number(value) : value]];
  });
  return {
    name,
    template: text("template"),
    ...(sizes.length > 0 && { sizes: Object.fromEntries(sizes) as object }),
    ...(form.get("retainData") !== null && { retainData: true }),
  };
}
