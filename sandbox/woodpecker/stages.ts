/** A step as far as its order is concerned. */
interface Ordered {
  readonly name: string;
  /** Undefined: after the step before it in the file. */
  readonly dependsOn: readonly { readonly name: string; readonly optional: boolean }[] | undefined;
}

/**
 * Groups steps into stages, which run one after the other; the steps of a stage run at the same time.
 * Without any `depends_on` every step is a stage of its own (pipeline/frontend/yaml/compiler/dag.go).
 * Returns the reason if a dependency was filtered out or depends on itself.
 */
export function stagesOf<S extends Ordered>(steps: readonly S[]): S[][] | string {
  if (steps.every(({ dependsOn }) => dependsOn === undefined)) return steps.map((step) => [step]);
  const names = new Set(steps.map(({ name }) => name));
  for (const { name, dependsOn = [] } of steps) {
    const missing = dependsOn.find((wanted) => !wanted.optional && !names.has(wanted.name));
    if (missing) {
      return `step '${name}' depends on step '${missing.name}' which is filtered out by its conditions`;
    }
  }
  const stages: S[][] = [];
  const done = new Set<string>();
  for (let left = steps; left.length > 0; left = left.filter(({ name }) => !done.has(name))) {
    const next = left.filter(({ dependsOn = [] }) =>
      dependsOn.every(({ name }) => done.has(name) || !names.has(name)),
    );
    if (next.length === 0) return `cycle detected: [${left.map(({ name }) => name).join(" ")}]`;
    stages.push(next);
    next.forEach(({ name }) => done.add(name));
  }
  return stages;
}
