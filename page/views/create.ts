import { html } from "htm/preact";
import {
  h,
  type TargetedEvent,
  type TargetedInputEvent,
  type TargetedSubmitEvent,
  type VNode,
} from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import type { ProjectView } from "../../automation/service/schemas/project.ts";
import type { SizeLimits } from "../../automation/service/schemas/sizes.ts";
import type { TemplateView } from "../../automation/service/schemas/template.ts";
import type { Sizes } from "../../core/sizes.ts";
import { slugFromName } from "../../core/slug.ts";
import { useAction, useStart } from "../lib/action.ts";
import { call } from "../lib/api.ts";
import { useLoaded } from "../lib/load.ts";
import { heading, problem } from "../lib/parts.ts";
import { abandonPreview, Plan } from "../lib/plan.ts";
import { mayActSomewhere } from "../lib/session.ts";
import { checkSizes, type SizeTexts } from "../lib/sizes.ts";
import type { ViewProps } from "../lib/view.ts";
import { SizeFields } from "./create-sizes.ts";

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
  const [texts, setTexts] = useState<SizeTexts>({});
  const limits = useLoaded("sizes", (signal) => call<SizeLimits>("GET", "/v1/sizes", { signal }));
  const checked = checkSizes(texts, limits.data);
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
  useEffect(() => () => void (edits.current += 1), []); // no plan is shown after the form is left
  if (!mayActSomewhere(caller, "operator")) {
    return html`${heading("Create a project")}
      <p class="note">Your role does not allow this.</p>`;
  }
  const preview = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (slug === undefined) return;
    const body = bodyOf(new FormData(event.currentTarget), name, checked.sizes);
    void planning.run(async () => {
      const before = edits.current;
      setReady(false);
      setPlan(undefined);
      const { id } = await call<OperationView>("POST", `/v1/projects/${slug}/preview`, {
        body: { settings: body },
      });
      // The plan of a form that has changed meanwhile would have another project's name beside it.
      if (edits.current === before) setPlan({ id, body });
      else abandonPreview(id);
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
        onInput=${({ currentTarget }: TargetedInputEvent<HTMLInputElement>) => setName(currentTarget.value)}
      />
      <p
        id="slug"
        class=${name !== "" && problems !== undefined ? "wrong" : "hint"}
        aria-live="polite"
      >
        ${name === "" ? "The slug is derived from it." : (problems ?? html`Slug: <code>${slug}</code>`)}
      </p>
      ${h(Templates, { name, slug })}
      ${h(SizeFields, { texts, problems: checked.problems, limits: limits.data, onChange: setTexts })}
      <label class="check"
        ><input type="checkbox" name="retainData" /> On delete: keep the database</label
      >
      ${problem(planning.error ?? creating.error ?? limits.error)}
      <button
        class="button"
        disabled=${problems !== undefined || checked.problems.size > 0}
        aria-disabled=${planning.isBusy}
      >
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

interface TemplatesProps {
  readonly name: string;
  readonly slug: string | undefined;
}

/** The templates to choose from, and the README of the chosen one as plain text. */
function Templates({ name, slug }: TemplatesProps): VNode {
  const { data, error } = useLoaded("templates", (signal) =>
    call<{ readonly items: readonly TemplateView[] }>("GET", "/v1/templates", { signal }),
  );
  const [picked, setPicked] = useState<string>();
  const chosen = data?.items.find((one) =>
    picked === undefined ? one.isDefault : one.name === picked,
  );
  const readme = chosen?.readme
    ?.replaceAll("{{PROJECT_NAME}}", () => name || "{{PROJECT_NAME}}")
    .replaceAll("{{PROJECT_SLUG}}", () => slug ?? "{{PROJECT_SLUG}}");
  const onChange = ({ currentTarget }: TargetedEvent<HTMLSelectElement>) =>
    setPicked(currentTarget.value);
  return html`<label for="template">Template</label>
    <select id="template" name="template" value=${chosen?.name} onChange=${onChange}>
      ${data?.items.map((one) => html`<option key=${one.name} value=${one.name}>${one.name}</option>`)}
    </select>
    ${problem(error)}
    ${
      readme !== undefined &&
      html`<details>
        <summary>README of ${chosen?.name}</summary>
        <pre class="readme" tabindex="0">${readme}</pre>
      </details>`
    }`;
}

function bodyOf(form: FormData, name: string, sizes: Partial<Sizes>): object {
  const template = form.get("template");
  return {
    name,
    ...(template !== null && { template }),
    ...(Object.keys(sizes).length > 0 && { sizes }),
    ...(form.get("retainData") !== null && { retainData: true }),
  };
}
