import type { JWTPayload } from "jose";
import { z } from "zod";
import type { Grant, Identity } from "./identity.ts";
import { invalidToken } from "./issuer.ts";
import type { PeopleSettings, ServiceAccountSettings } from "../../core/identity.ts";

type Claims = JWTPayload & { readonly sub: string };

/** What a session keeps of a person's token. */
export const person = z.object({
  sub: z.string(),
  name: z.string(),
  /** Only groups that the settings name. */
  groups: z.array(z.string()),
});

export type Person = Readonly<z.output<typeof person>>;

const groupNames = z.array(z.string()).or(z.string().transform((one) => [one]));

/** Reads a person from verified claims. Throws RDEV_TOKEN if the groups are no list of texts. */
export function personOf(claims: Claims, settings: PeopleSettings): Person {
  const groups = groupNames.safeParse(claims[settings.groupsClaim] ?? []);
  if (!groups.success) throw invalidToken(`has groups in an unknown form`);
  const name = claims[settings.nameClaim];
  const mapped = new Set(settings.roles.map(({ group }) => group));
  return {
    sub: claims.sub,
    name: typeof name === "string" ? safeName(name) : "",
    groups: groups.data.filter((group) => mapped.has(group)),
  };
}

/** The name is the person's own choice; the subject, which nobody can choose, makes the actor unique. */
export function identityOfPerson(
  { sub, name, groups }: Person,
  settings: PeopleSettings,
): Identity {
  return {
    kind: "user",
    id: `user:${sub}`,
    title: `user "${name || sub}"`,
    actor: name === "" ? `user:${sub}` : `user:${name} (${sub})`,
    grants: settings.roles
      .filter(({ group }) => groups.includes(group))
      .map(({ role, project }) => ({ role, project })),
  };
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens */
const SUBJECT = /^system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)$/;

/** Reads a service account from verified claims. Throws RDEV_TOKEN if the subject is no service account. */
export function identityOfServiceAccount(
  { sub }: Claims,
  { roles }: ServiceAccountSettings,
): Identity {
  const [, namespace, name] = SUBJECT.exec(sub) ?? [];
  if (namespace === undefined || name === undefined)
    throw invalidToken("is not a service account's");
  const account = `${namespace}/${name}`;
  const grants: Grant[] = roles
    .filter((one) => one.account === account)
    .map(({ role, project }) => ({ role, project }));
  return {
    kind: "serviceAccount",
    id: `serviceAccount:${account}`,
    title: `service account "${account}"`,
    actor: `serviceAccount:${account}`,
    grants,
  };
}

/** At most 64 characters, none of which could break a log line or pass for a subject. */
function safeName(name: string): string {
  return name.replace(/[^\w.@+-]/g, "_").slice(0, 64);
}
