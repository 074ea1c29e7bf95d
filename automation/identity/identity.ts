import type { Role } from "../../core/identity.ts";
import { type Key, mayActAs } from "../keys/key.ts";

/** A role for one project, or for all of them. */
export interface Grant {
  readonly role: Role;
  /** The project's slug; null: all projects. */
  readonly project: string | null;
}

/** The caller of the API. */
export interface Identity {
  readonly kind: "key" | "user" | "serviceAccount";
  /** Unique among callers of all kinds. Rate limits count by it. */
  readonly id: string;
  /** For messages: `key "rdev"`, `user "alice"`. */
  readonly title: string;
  /**
   * The actor in the audit trail: `rdev`, `user:alice (7)`, `serviceAccount:ci/deployer`. Names of keys
   * contain no colon, so no key can pass for a person.
   */
  readonly actor: string;
  /** A caller without grants is known, but may do nothing. */
  readonly grants: readonly Grant[];
}

export function identityOfKey({ id, name, role, project }: Key): Identity {
  return { kind: "key", id, title: `key "${name}"`, actor: name, grants: [{ role, project }] };
}

/** The grants that include a role. */
export function grantsFor({ grants }: Identity, needed: Role): readonly Grant[] {
  return grants.filter((grant) => mayActAs(grant, needed));
}

/** Whether the caller has a role for a project; null: for all of them. */
export function hasRole(identity: Identity, needed: Role, wanted: string | null): boolean {
  return grantsFor(identity, needed).some(({ project }) => project === null || project === wanted);
}

/** For messages: `no role`, `the role viewer`, `the roles viewer, operator of my-app`. */
export function describeGrants(grants: readonly Grant[]): string {
  const texts = grants.map(({ role, project }) =>
    project === null ? role : `${role} of ${project}`,
  );
  if (texts.length === 0) return "no role";
  return `the ${texts.length === 1 ? "role" : "roles"} ${texts.join(", ")}`;
}
