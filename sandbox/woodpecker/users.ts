import { randomBytes } from "node:crypto";
import { Gitea, GiteaError, type GiteaAccess, type GiteaUser } from "./gitea.ts";
import { Refusal } from "./http.ts";

/** A user's rights in a repository, according to Gitea. */
export interface Rights {
  readonly pull: boolean;
  readonly push: boolean;
  readonly admin: boolean;
}

/** The properties that decide the rights. */
interface Repository {
  readonly id: number;
  readonly forge_remote_id: string;
  readonly visibility: string;
}

const NONE: Rights = { pull: false, push: false, admin: false };
const ALL: Rights = { pull: true, push: true, admin: true };

/** A user of Woodpecker: a user of Gitea who logged in, with access to Gitea. */
export class User {
  readonly id: number;
  /** The personal access token. */
  readonly token: string;
  /** An administrator has every right in every repository. */
  readonly admin: boolean;
  readonly gitea: Gitea;
  /** The last rights that Gitea reported, by the repository's id. */
  readonly #known = new Map<number, Rights>();

  constructor(id: number, token: string, admin: boolean, gitea: Gitea) {
    this.id = id;
    this.token = token;
    this.admin = admin;
    this.gitea = gitea;
  }

  /** Uses the last known rights while Gitea does not answer for the repository (session/repo.go). */
  async rightsIn(repo: Repository): Promise<Rights> {
    if (this.admin) return ALL;
    const rights = await this.#read(repo);
    this.#known.set(repo.id, rights);
    return repo.visibility === "private" ? rights : { ...rights, pull: true };
  }

  async #read({ id, forge_remote_id: remoteId }: Repository): Promise<Rights> {
    try {
      return (await this.gitea.repository(remoteId)).permissions;
    } catch (error) {
      if (error instanceof GiteaError) return this.#known.get(id) ?? NONE;
      throw error;
    }
  }
}

/** All users: Gitea's administrator, and everybody who logged in. */
export class Users {
  readonly #url: string;
  readonly #byToken = new Map<string, User>();

  constructor({ url, token }: GiteaAccess, adminToken: string) {
    this.#url = url;
    this.#byToken.set(adminToken, new User(1, adminToken, true, new Gitea({ url, token })));
  }

  byToken(token: string): User | undefined {
    return this.#byToken.get(token);
  }

  /** Replaces the login by OAuth2: a Gitea token identifies its user. */
  async login(giteaToken: string): Promise<User> {
    const gitea = new Gitea({ url: this.#url, token: giteaToken });
    const { id } = await userOf(gitea);
    for (const known of this.#byToken.values()) {
      if ((await userOf(known.gitea)).id === id) return known;
    }
    const token = randomBytes(24).toString("hex");
    const user = new User(this.#byToken.size + 1, token, false, gitea);
    this.#byToken.set(token, user);
    return user;
  }
}

async function userOf(gitea: Gitea): Promise<GiteaUser> {
  return gitea.user().catch((cause: unknown) => {
    throw new Refusal(401, "User not authorized", { cause });
  });
}
