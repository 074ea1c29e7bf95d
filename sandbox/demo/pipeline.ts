import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type DeployedProject, json, variable } from "../proofs/project.ts";
import { expect } from "../proofs/proofs.ts";
import { note } from "./screen.ts";

const POLL_MS = 200;
const OVER = ["success", "failure", "killed", "canceled", "error", "declined", "blocked"];

/** Times are in seconds since 1970, as in Woodpecker's API. */
const stepSchema = z.object({
  id: z.number(),
  name: z.string(),
  state: z.string(),
  started: z.number().default(0),
  finished: z.number().default(0),
});
const pipelineSchema = z.object({
  number: z.number(),
  event: z.string(),
  status: z.string(),
  commit: z.string(),
  workflows: z.array(z.object({ children: z.array(stepSchema) })).default([]),
});

export interface FollowOptions {
  readonly number: number;
  /** Called when a step begins. */
  readonly onStep?: (name: string) => void;
}

/**
 * Follows a pipeline of a project to its end in Woodpecker's API, and describes its steps. Waits until
 * the pipeline exists. Throws with the end of the log of a step that fails.
 */
export async function followPipeline(
  project: DeployedProject,
  { number, onStep = () => undefined }: FollowOptions,
): Promise<string> {
  const get = async (path: string) =>
    json<unknown>(`${variable(project, "WOODPECKER_URL")}/api/repos/${path}`, {
      authorization: `Bearer ${variable(project, "WOODPECKER_TOKEN")}`,
    });
  const { organization, slug } = project;
  const { id } = z.object({ id: z.number() }).parse(await get(`lookup/${organization}/${slug}`));
  const exists = async () => {
    const all = z.array(z.object({ number: z.number() })).parse(await get(`${id}/pipelines`));
    return all.some((one) => one.number === number);
  };
  while (!(await exists())) await sleep(POLL_MS);
  const begun = new Set<string>();
  for (;;) {
    const pipeline = pipelineSchema.parse(await get(`${id}/pipelines/${number}`));
    const steps = pipeline.workflows.flatMap(({ children }) => children);
    for (const { name, state } of steps) {
      if (state === "pending" || begun.has(name)) continue;
      begun.add(name);
      note(slug, `pipeline #${number}: ${name}`);
      onStep(name);
    }
    if (OVER.includes(pipeline.status)) {
      const broken = steps.find(({ state }) => state === "failure");
      const log = broken ? await logOf(get, `${id}/logs/${number}/${broken.id}`) : "";
      expect(pipeline.status === "success", `pipeline #${number} succeeded\n${log}`);
      const times = steps.map(({ name, started, finished }) => `${name} ${finished - started} s`);
      return `pipeline #${number} (${pipeline.event}) of ${pipeline.commit.slice(0, 8)}: ${times.join(", ")}`;
    }
    await sleep(POLL_MS);
  }
}

const LAST_LINES = 20;

async function logOf(get: (path: string) => Promise<unknown>, path: string): Promise<string> {
  const lines =
    z
      .array(z.object({ data: z.base64() }))
      .nullable()
      .parse(await get(path)) ?? [];
  return lines
    .slice(-LAST_LINES)
    .map(({ data }) => Buffer.from(data, "base64").toString())
    .join("\n");
}
