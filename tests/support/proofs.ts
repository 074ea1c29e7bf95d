import { proveCitadel } from "../../sandbox/proofs/citadel.ts";
import { proveDns } from "../../sandbox/proofs/dns.ts";
import { proveGit } from "../../sandbox/proofs/git.ts";
import { proveKubernetes } from "../../sandbox/proofs/kubernetes.ts";
import { makeNeighbour } from "../../sandbox/proofs/neighbour.ts";
import { provePostgres } from "../../sandbox/proofs/postgres.ts";
import { proveRedis } from "../../sandbox/proofs/redis.ts";
import { proveRegistry } from "../../sandbox/proofs/registry.ts";
import type { Stage } from "../../sandbox/proofs/stage.ts";
import { proveWoodpecker } from "../../sandbox/proofs/woodpecker.ts";
import { uniqueSlug } from "./unique-slug.ts";

/** Checks on every server that a project exists once and works. */
export async function proveAll(stage: Stage, neighbour: string): Promise<void> {
  await proveGit(stage);
  await proveDns(stage);
  await provePostgres(stage, neighbour);
  await proveRedis(stage, neighbour);
  await proveKubernetes(stage);
  await proveWoodpecker(stage);
  await proveRegistry(stage);
  await proveCitadel(stage);
}

/** Like `proveAll`, with a temporary neighbour. */
export async function proveAlone(stage: Stage): Promise<void> {
  const slug = uniqueSlug();
  const neighbour = await makeNeighbour(slug, {});
  try {
    await proveAll(stage, slug);
  } finally {
    await neighbour.remove();
  }
}
