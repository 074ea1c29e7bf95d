import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Role } from "../core/identity.ts";
import { json, type JsonRequest, variable } from "./proofs/project.ts";
import type { Sandbox } from "./sandbox.ts";

/** A person on a Gitea, in a team of an organization, and the client of a service where the person signs in. */
export interface GiteaPerson {
  readonly login: string;
  readonly password: string;
  /** The team, as the claim `groups` of an ID token names it: `org:developers`. */
  readonly group: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Removes the person, the organization and the client. */
  remove(): Promise<void>;
}

export interface GiteaAdmin {
  readonly url: string;
  /** An administrator's token. */
  readonly token: string;
}

/** Creates a person, and a client of OpenID Connect that Gitea sends back to `redirectUri`. */
export async function createGiteaPerson(
  redirectUri: string,
  gitea: GiteaAdmin,
): Promise<GiteaPerson> {
  const asAdmin = <T>(path: string, request: JsonRequest) =>
    json<T>(`${gitea.url}/api/v1${path}`, { authorization: `token ${gitea.token}` }, request);
  const suffix = randomBytes(4).toString("hex");
  const [login, organization] = [`p${suffix}`, `org-${suffix}`];
  const password = randomBytes(12).toString("hex");
  const post = <T>(path: string, body: object) =>
    asAdmin<T>(path, { method: "POST", status: 201, body });

  await post("/admin/users", {
    username: login,
    email: `${login}@example.test`,
    password,
    must_change_password: false,
  });
  await post("/orgs", { username: organization });
  const team = await post<{ id: number }>(`/orgs/${organization}/teams`, {
    name: "developers",
    permission: "read",
    units: ["repo.code"],
  });
  await asAdmin(`/teams/${team.id}/members/${login}`, { method: "PUT", status: 204 });
  const client = await post<{ id: number; client_id: string; client_secret: string }>(
    "/user/applications/oauth2",
    { name: `rdev-infra-${suffix}`, redirect_uris: [redirectUri], confidential_client: true },
  );
  return {
    ...{ login, password },
    group: `${organization}:developers`,
    clientId: client.client_id,
    clientSecret: client.client_secret,
    async remove() {
      const remove = (path: string) => asAdmin(path, { method: "DELETE", status: 204 });
      await remove(`/user/applications/oauth2/${client.id}`);
      await remove(`/orgs/${organization}`);
      await remove(`/admin/users/${login}?purge=true`);
    },
  };
}

/** A person who can sign in to a service of the sandbox. */
export interface SignIn {
  readonly person: GiteaPerson;
  /** What the service needs for it, secrets included. */
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Lets a person sign in through the sandbox's Gitea to the service at `origin`, such as
 * `http://127.0.0.1:8080`, with a role for all projects.
 */
export async function offerSignIn(
  { env, folder }: Pick<Sandbox, "env" | "folder">,
  { origin, role }: { readonly origin: string; readonly role: Role },
): Promise<SignIn> {
  const url = variable({ env }, "GITEA_URL");
  const token = variable({ env }, "GITEA_TOKEN");
  const person = await createGiteaPerson(`${origin}/auth/callback`, { url, token });
  const { clientId, clientSecret, group, login } = person;
  const people = {
    ...{ issuer: url, clientId },
    roles: [{ group, role }],
    signIn: { publicUrl: origin },
  };
  const file = join(folder, `identity-${login}.json`);
  await writeFile(file, JSON.stringify({ people }), { mode: 0o600 });
  const variables = {
    RDEV_INFRA_IDENTITY_FILE: file,
    RDEV_INFRA_CLIENT_SECRET: clientSecret,
    RDEV_INFRA_SESSION_KEY: randomBytes(32).toString("base64url"),
  };
  return { person, variables };
}
