import type { Role } from "../../core/identity.ts";

/** The caller, as `/auth/me` answers. */
export interface Caller {
  readonly kind: "key" | "user" | "serviceAccount";
  readonly actor: string;
  readonly grants: readonly { readonly role: Role; readonly project: string | null }[];
}

const ITEM = "rdev-infra key";

/** An API key that a person pasted. It ends with the tab, and no other tab has it. */
export const pastedKey = {
  get: (): string | null => sessionStorage.getItem(ITEM),
  set: (key: string): void => sessionStorage.setItem(ITEM, key),
  remove: (): void => sessionStorage.removeItem(ITEM),
};

const RANKS: Readonly<Record<Role, number>> = {
  viewer: 0,
  operator: 1,
  approver: 2,
  admin: 3,
};

/** Whether the caller has a role for a project; without a project: for all of them. */
export function mayAct(caller: Caller, needed: Role, project: string | null = null): boolean {
  return caller.grants.some(
    ({ role, project: only }) =>
      RANKS[role] >= RANKS[needed] && (only === null || only === project),
  );
}

/** Whether the caller has a role for at least one project. */
export function mayActSomewhere(caller: Caller, needed: Role): boolean {
  return caller.grants.some(({ role }) => RANKS[role] >= RANKS[needed]);
}
