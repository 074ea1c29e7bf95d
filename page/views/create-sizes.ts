import { html } from "htm/preact";
import type { TargetedInputEvent, VNode } from "preact";
import { useRef } from "preact/hooks";
import type { SizeLimits } from "../../automation/service/schemas/sizes.ts";
import { isCount } from "../../core/size-counts.ts";
import { badge } from "../lib/parts.ts";
import type { CheckedSizes, SizeName, SizeTexts } from "../lib/sizes.ts";

const COMMON: readonly SizeName[] = [
  "replicas",
  "cpuLimit",
  "memoryLimit",
  "databaseConnections",
  "storageQuota",
];

const RARE: readonly SizeName[] = [
  "cpuRequest",
  "memoryRequest",
  "ephemeralStorageLimit",
  "cpuQuota",
  "memoryQuota",
  "ephemeralStorageQuota",
  "podQuota",
  "volumeQuota",
];

const TEXTS: Readonly<Record<SizeName, string>> = {
  replicas: "Replicas",
  cpuRequest: "CPU request of a pod",
  cpuLimit: "CPU limit of a pod",
  memoryRequest: "Memory request of a pod",
  memoryLimit: "Memory limit of a pod",
  ephemeralStorageLimit: "Disk of a pod",
  databaseConnections: "Database sessions",
  cpuQuota: "CPU of all pods",
  memoryQuota: "Memory of all pods",
  ephemeralStorageQuota: "Disk of all pods",
  podQuota: "Pods, those of Jobs included",
  volumeQuota: "Volumes",
  storageQuota: "Space of all volumes",
};

export interface SizeFieldsProps {
  readonly texts: SizeTexts;
  readonly problems: CheckedSizes["problems"];
  readonly limits: SizeLimits | undefined;
  readonly onChange: (texts: SizeTexts) => void;
}

/** A field for each size. The rare ones are folded away until one of them is wrong. */
export function SizeFields({ texts, problems, limits, onChange }: SizeFieldsProps): VNode {
  const mustOpen = useRef(false); // stays, so that a corrected field does not fold its group away
  const field = (name: SizeName) => {
    const wrong = problems.get(name);
    const hint =
      limits &&
      `Empty: ${limits.defaults[name]}, the platform's. At most ${limits.ceilings[name]}.`;
    const onInput = ({ currentTarget }: TargetedInputEvent<HTMLInputElement>) =>
      onChange({ ...texts, [name]: currentTarget.value });
    return html`<label for=${name}>${TEXTS[name]}</label>
      <input
        id=${name}
        value=${texts[name] ?? ""}
        inputmode=${isCount(name) ? "numeric" : "text"}
        autocomplete="off"
        aria-invalid=${wrong !== undefined}
        aria-describedby=${`${name}-hint`}
        onInput=${onInput}
      />
      <p id=${`${name}-hint`} class=${wrong === undefined ? "hint" : "wrong"} aria-live="polite">
        ${wrong ?? hint}
      </p>`;
  };
  const rareIsWrong = RARE.some((name) => problems.has(name));
  mustOpen.current ||= rareIsWrong;
  return html`<details>
    <summary>Sizes ${problems.size > 0 && badge("bad", `${problems.size} wrong`)}</summary>
    ${COMMON.map(field)}
    <details open=${mustOpen.current}>
      <summary>Requests, disks and quotas</summary>
      ${RARE.map(field)}
    </details>
  </details>`;
}
