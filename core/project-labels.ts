import { z } from "zod";

// Labels of projects, by which lists and rollouts select. Keys and values are those of Kubernetes, so that
// people need not learn others, but they are not set on objects in the cluster.

const MOST = 20;

const key = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/,
    "is not a label: 1 to 63 of a-z, 0-9, and . _ / - within",
  );
const value = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
    "is not a label's value: 1 to 63 letters, digits, and . _ - within",
  );

/** The labels of a project: at most 20. */
export const projectLabels = z
  .record(key, value)
  .refine((labels) => Object.keys(labels).length <= MOST, {
    error: `has more than ${MOST} labels`,
  });

export type ProjectLabels = z.output<typeof projectLabels>;

/** Whether a project has all of the wanted labels. */
export function hasLabels(own: ProjectLabels, wanted: ProjectLabels): boolean {
  return Object.entries(wanted).every(
    ([name, text]) => Object.hasOwn(own, name) && own[name] === text,
  );
}

/** Labels as in `team=shop,tier=1`; undefined if the text is something else. */
export function labelsOf(text: string): ProjectLabels | undefined {
  const pairs = text.split(",").map((pair): [string, string] => {
    const [name = "", ...rest] = pair.split("=");
    return [name, rest.join("=")];
  });
  const labels = projectLabels.safeParse(Object.fromEntries(pairs)).data;
  // Fewer if a key is there twice, or is `__proto__`, which zod leaves out.
  return labels && Object.keys(labels).length === pairs.length ? labels : undefined;
}
