import type { JWTPayload } from "jose";
import type { AuthenticatorOptions } from "../../automation/identity/authenticator.ts";
import { parseIdentitySettings } from "../../automation/identity/settings.ts";
import { Seal } from "../../automation/identity/seal.ts";
import { TestIssuer } from "./issuer.ts";

export const CLIENT_ID = "rdev-infra-client";
export const ORIGIN = "http://localhost:8080";
export const SESSION_KEY = "a session key of 32 characters!!";

const CLUSTER = "https://kubernetes.default.svc.cluster.local";

/** People and service accounts, whose tokens are from local issuers. */
export class Identities {
  readonly people: TestIssuer;
  readonly cluster: TestIssuer;

  private constructor(people: TestIssuer, cluster: TestIssuer) {
    this.people = people;
    this.cluster = cluster;
  }

  static async start(): Promise<Identities> {
    return new Identities(await TestIssuer.start(), await TestIssuer.start());
  }

  async stop(): Promise<void> {
    await Promise.all([this.people.stop(), this.cluster.stop()]);
  }

  /** Each role has a group and a service account; so has each role in the project `other`. */
  options(): Omit<AuthenticatorOptions, "keys"> {
    const roles = ["viewer", "operator", "approver", "admin"];
    const bound = [{}, { project: "other" }];
    const grants = roles.flatMap((role) => bound.map((more) => ({ role, ...more })));
    const nameOf = ({ role, project }: { role: string; project?: string }) =>
      project === undefined ? role : `${project}-${role}`;
    const settings = {
      people: {
        issuer: this.people.url,
        clientId: CLIENT_ID,
        roles: grants.map((grant) => ({ group: nameOf(grant), ...grant })),
        signIn: { publicUrl: ORIGIN },
      },
      serviceAccounts: {
        roles: grants.map((grant) => ({ account: `ci/${nameOf(grant)}`, ...grant })),
      },
    };
    const secrets = { sessionKey: SESSION_KEY, clientSecret: "the client's secret" };
    return {
      settings: parseIdentitySettings(JSON.stringify(settings), { file: "identity", ...secrets }),
      secrets,
      cluster: this.cluster.documents(CLUSTER),
    };
  }

  /** A person's ID token, with other claims than usual. */
  user(claims: JWTPayload = {}): Promise<string> {
    const usual = { sub: "7", preferred_username: "alice", groups: [], aud: CLIENT_ID };
    return this.people.sign({ ...usual, ...claims });
  }

  serviceAccount(name: string, claims: JWTPayload = {}): Promise<string> {
    const sub = `system:serviceaccount:ci:${name}`;
    return this.cluster.sign({ iss: CLUSTER, sub, aud: "rdev-infra", ...claims });
  }

  /** The cookie of a person who signed in. */
  async session(groups: readonly string[], lifetime = 3_600): Promise<string> {
    const content = { sub: "7", name: "alice", groups };
    const text = await new Seal(SESSION_KEY).close("session", content, lifetime);
    return `rdev-session=${text}`;
  }
}
