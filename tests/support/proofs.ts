import { makeNeighbour } from "../../sandbox/proofs/neighbour.ts";
import type { DeployedProject } from "../../sandbox/proofs/project.ts";
import { PROOFS } from "../../sandbox/proofs/proofs.ts";
import { uniqueSlug } from "./unique-slug.ts";

/** Proves on every server that a project exists once and works. */
export async function proveAll(project: DeployedProject, neighbour: string): Promise<void> {
  for (const [, prove] of PROOFS) await prove(project, neighbour);
}

/** Like `proveAll`, with a temporary neighbour. */
export async function proveAlone(project: DeployedProject): Promise<void> {
  const slug = uniqueSlug();
  const neighbour = await makeNeighbour(slug, {});
  try {
    await proveAll(project, slug);
  } finally {
    await neighbour.remove();
  }
}
