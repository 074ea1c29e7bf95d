import type { FastifyRequest } from "fastify";
import { Refusal } from "./http.ts";
import type { Entry, Store } from "./store.ts";
import type { Rights, User } from "./users.ts";

/** The user of a request, set by the server's hook (session/user.go). */
export function userOf(request: FastifyRequest): User {
  return request.getDecorator<User>("user");
}

/**
 * The repository of `:repo_id`, if the user has the right.
 * @throws Refusal 400 for an id that is no number; 404 if unknown or not visible; 403 without the right.
 */
export async function entryOf(
  store: Store,
  request: FastifyRequest,
  right: keyof Rights = "pull",
): Promise<Entry> {
  const entry = entryOfAnyone(store, request);
  await requireRight(entry, request, right);
  return entry;
}

/** The repository of `:repo_id`, regardless of the user's rights. */
export function entryOfAnyone(store: Store, request: FastifyRequest): Entry {
  const { repo_id: id } = request.params as { repo_id: string };
  if (!/^\d+$/.test(id)) throw new Refusal(400);
  const entry = store.byId(Number(id));
  if (!entry) throw new Refusal(404);
  return entry;
}

/** Answers a missing right as if the repository did not exist (session/repo.go). */
export async function requireRight(
  { repo }: Entry,
  request: FastifyRequest,
  right: keyof Rights,
): Promise<void> {
  const rights = await userOf(request).rightsIn(repo);
  if (!rights.pull || (right === "push" && !rights.push)) throw new Refusal(404);
  if (right === "admin" && !rights.admin) throw new Refusal(403, "User not authorized");
}
