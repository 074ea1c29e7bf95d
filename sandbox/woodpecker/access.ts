import type { FastifyRequest } from "fastify";
import { Refusal } from "./http.ts";
import type { Entry, Store } from "./store.ts";
import type { Rights, User } from "./users.ts";

/** The asking user: set for every request, before it is answered (session/user.go). */
export function userOf(request: FastifyRequest): User {
  return request.getDecorator<User>("user");
}

/**
 * The repository of a path with `:repo_id`, for who has this right in it.
 * @throws Refusal 400 no number; 404 not known, or not shown; 403 shown, but not to be administered.
 */
export async function entryOf(
  store: Store,
  request: FastifyRequest,
  right: keyof Rights = "pull",
): Promise<Entry> {
  const entry = namedEntry(store, request);
  await demandRight(entry, request, right);
  return entry;
}

/** The same, whoever asks. */
export function namedEntry(store: Store, request: FastifyRequest): Entry {
  const { repo_id: id } = request.params as { repo_id: string };
  if (!/^\d+$/.test(id)) throw new Refusal(400);
  const entry = store.byId(Number(id));
  if (!entry) throw new Refusal(404);
  return entry;
}

/** A right that is missing looks like a repository that is not there (session/repo.go). */
export async function demandRight(
  { repo }: Entry,
  request: FastifyRequest,
  right: keyof Rights,
): Promise<void> {
  const rights = await userOf(request).rightsIn(repo);
  if (!rights.pull || (right === "push" && !rights.push)) throw new Refusal(404);
  if (right === "admin" && !rights.admin) throw new Refusal(403, "User not authorized");
}
