/**
 * Lists the stacks of a backend in PostgreSQL one after the other.
 *
 * Reason: while the backend lists a folder, it holds one connection of its pool and asks for a second. It
 * lists up to 10 stacks at once, and the pool has two connections for each processor (GOMAXPROCS, which
 * in a container follows the CPU limit). So `pulumi stack ls` hangs forever with two stacks and one
 * processor, or with four and two.
 * Workaround: one stack at a time needs two connections, which every pool has.
 * Upstream: pkg/backend/diy/postgres/bucket.go, ListPaged, and pkg/backend/diy/backend.go, ListStacks.
 * Seen in: Pulumi's CLI 3.259.0.
 * Remove it when: the contract test in tests/automation/engine/quirks fails.
 */
import { pulumiVariables } from "../../../core/connections.ts";

/** The variables for a command that lists stacks. */
export function listingVariables(): Readonly<Record<string, string>> {
  const isPostgres = /^postgres(ql)?:/.test(pulumiVariables().backend ?? "");
  return isPostgres ? { PULUMI_DIY_BACKEND_PARALLEL: "1" } : {};
}
