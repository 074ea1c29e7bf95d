import { type Role, ROLES } from "../../core/identity.ts";
import type { Key } from "../keys/key.ts";

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

/** The caller with a key. A role that this version does not know grants nothing. */
export function identityOfKey({ id, name, role: wanted, project }: Key): Identity {
  const role = ROLES.find((known) => known === wanted);
  const doubt = role === undefined ? ` (its role "${wanted}" is unknown to this version)` : "";
  return {
    kind: "key",
    id,
    title: `key "${name}"${doubt}`,
    actor: name,
    grants: role === undefined ? [] : [{ role, project }],
  };
}

/** The grants that include a role. */
export function grantsFor({ grants }: Identity, needed: Role): readonly Grant[] {
  return grants.filter(({ role }) => ROLES.indexOf(role) >= ROLES.indexOf(needed));
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
