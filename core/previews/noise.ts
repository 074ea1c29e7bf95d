import type { Change } from "./model.ts";
import { isRecord, type Path } from "../engine-values.ts";
import type { Step } from "./step.ts";

/** Metadata of Kubernetes objects that only servers write. */
const SERVER_SIDE = [
  "creationTimestamp",
  "generation",
  "managedFields",
  "resourceVersion",
  "selfLink",
  "uid",
];
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** True for a generated property, which means nothing to a reader. */
export function isNoise(type: string, path: Path): boolean {
  const [first, second, third] = path;
  if (typeof first === "string" && first.startsWith("__")) return true; // Pulumi's own
  if (!type.startsWith("kubernetes:")) return false;
  if (first === "status") return true;
  if (first !== "metadata" || second === undefined) return false;
  return (
    SERVER_SIDE.includes(String(second)) || (second === "annotations" && third === LAST_APPLIED)
  );
}

const RUNNING_IMAGE = "pulumi-nodejs:dynamic/kubernetes:RunningImage";
/** The properties of the look-up's result. */
const LOOKED_UP = ["image", "problem", "isRollingOut"];
const IMAGE = /^spec\.template\.spec\.containers\[\d+\]\.image$/;
/** The program sets it to whether the running image comes up. */
const SKIP_AWAIT = 'metadata.annotations["pulumi.com/skipAwait"]';

/** The images that CI has set since the last `up`. The program keeps the running one (docs/decisions.md). */
export function runningImages(steps: readonly Step[]): Set<string> {
  const images = steps
    .filter(({ type, op }) => type === RUNNING_IMAGE && op === "update")
    .map(({ new: state }) => (isRecord(state?.inputs) ? state.inputs["image"] : undefined));
  return new Set(images.filter((image) => typeof image === "string"));
}

/**
 * Removes what no `up` would change: the look-up of the running image, that image itself, and whether
 * the plugin waits for it. Returns undefined if nothing is left of the change.
 */
export function withoutRunningImage(
  change: Change,
  images: ReadonlySet<string>,
): Change | undefined {
  if (change.op !== "update" || images.size === 0) return change;
  const onlyLookUp = change.properties.every(({ path }) => LOOKED_UP.includes(path));
  if (change.type === RUNNING_IMAGE) return onlyLookUp ? undefined : change;
  if (change.type !== "kubernetes:apps/v1:Deployment") return change;
  const properties = change.properties.filter(
    ({ path, new: value }) => path !== SKIP_AWAIT && !(IMAGE.test(path) && images.has(value ?? "")),
  );
  if (properties.length === 0 && change.moreProperties === 0) return undefined;
  return { ...change, properties };
}
