import { randomBytes } from "node:crypto";
import { adminToken, GiteaPeople, type Person } from "./gitea-people.ts";
import { variable } from "./variables.ts";

const { ok } = GiteaPeople;

type Permission = "admin" | "write" | "read";

/** A repository of a program on the sandbox's Gitea. A service previews its pull requests. */
export class PreviewedRepository {
  /** `admin/infra-1a2b` */
  readonly fullName: string;
  readonly #bot: Person;

  private constructor(fullName: string, bot: Person) {
    this.fullName = fullName;
    this.#bot = bot;
  }

  /** The bot, whose account the service comments with, administers it. */
  static async create(options: {
    readonly bot: Person;
    readonly others: readonly (readonly [Person, Permission])[];
    /** Makes a first commit. */
    readonly auto_init?: boolean;
  }): Promise<PreviewedRepository> {
    const { bot, others, auto_init = false } = options;
    const { full_name } = await ok<{ full_name: string }>("POST", "/user/repos", adminToken(), {
      name: `infra-${randomBytes(4).toString("hex")}`,
      private: true,
      auto_init,
      default_branch: "main",
    });
    const made = new PreviewedRepository(full_name, bot);
    for (const [{ name }, permission] of [[bot, "admin"] as const, ...others]) {
      await made.call("PUT", `/collaborators/${name}`, adminToken(), { permission });
    }
    return made;
  }

  get cloneUrl(): string {
    return `${variable("GITEA_URL")}/${this.fullName}.git`;
  }

  /** Calls the API below the repository. Fails unless the call succeeds. */
  call<T>(method: string, path: string, token: string, json?: object): Promise<T> {
    return ok(method, `/repos/${this.fullName}${path}`, token, json);
  }

  /** Sends the events of pull requests to the service. */
  async addWebhook(service: string, secret: string): Promise<void> {
    await this.call("POST", "/hooks", adminToken(), {
      type: "gitea",
      active: true,
      config: { url: `${service}/v1/forge/events`, content_type: "json", secret },
      events: [
        "pull_request",
        "pull_request_sync",
        "issue_comment",
        "pull_request_comment",
        "pull_request_review",
      ],
    });
  }

  async say(pull: number, by: Person, body: string): Promise<void> {
    await this.call("POST", `/issues/${pull}/comments`, by.token, { body });
  }

  /** The bot's comments on a pull request. */
  async answers(pull: number): Promise<string[]> {
    type Comments = { body: string; user: { login: string } }[];
    const found = await this.call<Comments>("GET", `/issues/${pull}/comments`, this.#bot.token);
    return found.filter(({ user }) => user.login === this.#bot.name).map(({ body }) => body);
  }

  async remove(): Promise<void> {
    await this.call("DELETE", "", adminToken());
  }
}
