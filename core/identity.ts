import { z } from "zod";
import { secureUrl } from "./setting-values.ts";
import { slugProblems } from "./slug.ts";

/** In ascending order of rights: each role includes the roles before it. */
export const ROLES = ["viewer", "operator", "approver", "admin"] as const;
export type Role = (typeof ROLES)[number];

const role = z.enum(ROLES);
const project = z
  .string()
  .refine((text) => slugProblems(text).length === 0, { error: "is not a project's slug" })
  .optional()
  .transform((slug) => slug ?? null);

const people = z.strictObject({
  /** The OpenID Connect provider, as in the claim `iss`. */
  issuer: secureUrl,
  clientId: z.string().min(1),
  /** Tokens for one of these are accepted. Default: the client's id. */
  audiences: z.array(z.string().min(1)).min(1).optional(),
  groupsClaim: z.string().min(1).default("groups"),
  nameClaim: z.string().min(1).default("preferred_username"),
  roles: z.array(z.strictObject({ group: z.string().min(1), role, project })).default([]),
  /** Sign-in with a browser. Default: people send tokens only. */
  signIn: z
    .strictObject({
      /** The service's own origin, as browsers see it. */
      publicUrl: secureUrl.refine(
        (text) => URL.canParse(text) && new URL(text).origin === text.replace(/\/$/, ""),
        { error: "is not an origin without a path, such as https://infra.example.com" },
      ),
      scopes: z.array(z.string().min(1)).default(["openid", "profile", "groups"]),
      sessionHours: z.number().min(0.1).max(24).default(8),
    })
    .optional(),
});

const ACCOUNT = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

const serviceAccounts = z.strictObject({
  /** A pod's token must be for this audience, so that no other service can use one that it was sent. */
  audience: z.string().min(1).default("rdev-infra"),
  roles: z
    .array(
      z.strictObject({
        account: z.string().regex(ACCOUNT, "is not <namespace>/<name>"),
        role,
        project,
      }),
    )
    .default([]),
});

/** The settings of people and service accounts as callers of the service. */
export const identitySettings = z.strictObject({
  people: people.optional(),
  serviceAccounts: serviceAccounts.optional(),
});

export type IdentitySettings = z.output<typeof identitySettings>;
export type PeopleSettings = z.output<typeof people>;
export type SignInSettings = NonNullable<PeopleSettings["signIn"]>;
export type ServiceAccountSettings = z.output<typeof serviceAccounts>;
