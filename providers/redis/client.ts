import { createHash } from "node:crypto";
import { type ChainableCommander, Redis as Connection } from "ioredis";
import { connection } from "../../core/connections.ts";
import { type ErrorCode, InfraError } from "../../core/errors.ts";
import { notice } from "../notice.ts";

/** A hash from a user's name to its mark, because Redis stores no comment with a user. */
const OWNERS = "rdev-infra:owners";

/** An ACL user in the server's words. */
interface AclUser {
  /** SHA-256 hashes, in hex. */
  readonly passwords: readonly string[];
  /** Flags, keys, channels and commands. Good only for comparison. */
  readonly rule: string;
}

/** The server, and what the administrator's user may do there. */
interface Examination {
  readonly version: string;
  readonly time: Date;
  readonly user: string;
  /** The commands that rdev-infra uses and the user may not. */
  readonly refused: readonly string[];
  /** The server can write its users to a file. */
  readonly keepsUsers: boolean;
}

/** The commands of this client. The names of keys and users are examples. */
const USED_COMMANDS: readonly (readonly string[])[] = [
  ["ACL", "GETUSER", "a"],
  ["ACL", "SETUSER", "a"],
  ["ACL", "DELUSER", "a"],
  ["ACL", "SAVE"],
  ["CONFIG", "REWRITE"],
  ["CLIENT", "KILL", "USER", "a"],
  ["HGET", OWNERS, "a"],
  ["HSET", OWNERS, "a", "b"],
  ["HDEL", OWNERS, "a"],
  ["SCAN", "0"],
  ["UNLINK", "a"],
  ["MULTI"],
  ["EXEC"],
];

interface UserSettings {
  /** The prefix of its keys and channels. */
  readonly prefix: string;
  readonly password: string;
  /** Rules for commands, in the syntax of ACL SETUSER. */
  readonly commands: string;
  readonly mark: string;
}

/** ACL users of one server with Redis 7 or later. REDIS_ADMIN_URL must name a user with all rights. */
export class Redis {
  readonly #redis: Connection;
  readonly #address: string;
  /** ioredis rejects with "Connection is closed." and reports the cause only in an event. */
  #connectionError: Error | undefined;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;

  private constructor(url: URL) {
    this.host = url.hostname;
    this.port = Number(url.port || 6379);
    this.tls = url.protocol === "rediss:";
    this.#address = `${this.host}:${this.port}`;
    const server = new URL(url);
    // Marks and keys are in database 0, whatever the URL says, because users cannot select another.
    server.pathname = "";
    server.searchParams.delete("db");
    this.#redis = new Connection(server.href, {
      lazyConnect: true,
      connectionName: "rdev-infra",
      connectTimeout: 10_000,
      commandTimeout: 30_000,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    this.#redis.on("error", (error: Error) => (this.#connectionError = error));
  }

  /** Errors: RDEV_UNREACHABLE, RDEV_UNAUTHORIZED, RDEV_DEADLINE. */
  static async connect({ url } = connection("redis")): Promise<Redis> {
    const redis = new Redis(new URL(url));
    await redis.#withInfraErrors(() => redis.#redis.connect());
    return redis;
  }

  close(): Promise<void> {
    this.#redis.disconnect();
    return Promise.resolve();
  }

  /** Changes nothing: the commands are only tried (ACL DRYRUN). Needs Redis 7. */
  examine(): Promise<Examination> {
    return this.#withInfraErrors(async () => {
      const info = await this.#redis.info("server");
      const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
      const [[seconds], user] = await Promise.all([
        this.#redis.time(),
        this.#redis.call("ACL", "WHOAMI").then(String),
      ]);
      const tried = await Promise.all(
        USED_COMMANDS.map((command) =>
          this.#redis.call("ACL", "DRYRUN", user, ...command).catch(() => "refused"),
        ),
      );
      const aclFile = await this.#redis.config("GET", "aclfile").catch(() => []);
      return {
        version: field("redis_version"),
        time: new Date(Number(seconds) * 1000),
        user,
        refused: USED_COMMANDS.filter((_, at) => tried[at] !== "OK").map((command) =>
          command.slice(0, /^(ACL|CONFIG|CLIENT)$/.test(command[0] ?? "") ? 2 : 1).join(" "),
        ),
        keepsUsers: field("config_file") !== "" || [aclFile].flat()[1] !== "",
      };
    });
  }

  async user(name: string): Promise<AclUser | undefined> {
    const flat = await this.#withInfraErrors(() => this.#redis.call("ACL", "GETUSER", name));
    if (!Array.isArray(flat)) return undefined;
    const found = new Map<string, unknown>();
    for (let i = 0; i < flat.length; i += 2) found.set(String(flat[i]), flat[i + 1]);
    const words = ["flags", "keys", "channels", "commands", "selectors"].flatMap((part) =>
      [found.get(part)].flat(Infinity).join(" ").split(" ").filter(Boolean),
    );
    return {
      passwords: (found.get("passwords") as string[] | undefined) ?? [],
      // The order of rules changes when the server restarts.
      rule: words.toSorted().join(" "),
    };
  }

  async mark(name: string): Promise<string | undefined> {
    return (await this.#withInfraErrors(() => this.#redis.hget(OWNERS, name))) ?? undefined;
  }

  async setMark(name: string, mark: string): Promise<void> {
    await this.#withInfraErrors(() => this.#redis.hset(OWNERS, name, mark));
  }

  /** Marks and creates a user in one transaction. It cannot log in yet. */
  async createUser(name: string, mark: string): Promise<void> {
    await this.#inTransaction((multi) =>
      multi.hset(OWNERS, name, mark).call("ACL", "SETUSER", name, "reset"),
    );
  }

  /** Replaces all rules and the mark. Keeps the user's connections. */
  async setUser(name: string, settings: UserSettings): Promise<void> {
    const { prefix, password, commands, mark } = settings;
    const pattern = `${escapeGlob(prefix)}*`;
    const rules = [`~${pattern}`, `&${pattern}`, ...commands.split(" "), `#${sha256(password)}`];
    await this.#inTransaction((multi) =>
      multi.hset(OWNERS, name, mark).call("ACL", "SETUSER", name, "reset", "on", ...rules),
    );
    await this.#persist();
  }

  /** Ends the user's connections, deletes its keys, then the user and its mark. */
  async deleteUser(name: string, prefix: string): Promise<void> {
    await this.#withInfraErrors(async () => {
      await this.#redis.call("ACL", "SETUSER", name, "off");
      await this.#redis.call("CLIENT", "KILL", "USER", name);
      // The user goes last, because only it shows that an interrupted delete has to continue.
      await this.#deleteKeys(prefix);
    });
    await this.#inTransaction((multi) => multi.call("ACL", "DELUSER", name).hdel(OWNERS, name));
    await this.#persist();
  }

  /** Whether any key has the prefix. */
  async hasKeys(prefix: string): Promise<boolean> {
    return this.#withInfraErrors(async () => {
      for await (const keys of this.#keys(prefix)) if (keys.length > 0) return true;
      return false;
    });
  }

  async #deleteKeys(prefix: string): Promise<void> {
    for await (const keys of this.#keys(prefix)) {
      if (keys.length > 0) await this.#redis.unlink(...keys);
    }
  }

  /** Yields the keys in batches, some of them empty. */
  async *#keys(prefix: string): AsyncIterable<string[]> {
    let cursor = "0";
    do {
      const pattern = `${escapeGlob(prefix)}*`;
      const [next, keys] = await this.#redis.scan(cursor, "MATCH", pattern, "COUNT", 1000);
      yield keys;
      cursor = next;
    } while (cursor !== "0");
  }

  /** Writes the users to disk. Until then they are only in the server's memory. */
  async #persist(): Promise<void> {
    try {
      await this.#redis.call("ACL", "SAVE");
    } catch {
      // Without an ACL file, users are part of the server's configuration.
      await this.#redis.call("CONFIG", "REWRITE").catch((error: Error) => {
        warnOnce(
          `Redis at ${this.#address} keeps its users only in memory and will lose them when it ` +
            `restarts (${error.message}). Configure an aclfile.`,
        );
      });
    }
  }

  async #inTransaction(commands: (multi: ChainableCommander) => ChainableCommander): Promise<void> {
    await this.#withInfraErrors(async () => {
      const results = await commands(this.#redis.multi()).exec();
      for (const [error] of results ?? []) if (error) throw error;
    });
  }

  async #withInfraErrors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { message, previousErrors } = error as Error & { previousErrors?: Error[] };
      // A failed transaction says only "discarded". The command that was refused says more.
      const cause =
        message === "Connection is closed." ? this.#connectionError : previousErrors?.[0];
      throw redisError(cause ?? error, this.#address);
    }
  }
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function escapeGlob(text: string): string {
  return text.replace(/[*?[\]\\^]/g, "\\$&");
}

const warned = new Set<string>();

function warnOnce(text: string): void {
  if (warned.has(text)) return;
  warned.add(text);
  notice(text);
}

/** By the beginning of a message of Redis or ioredis. The first match counts. */
const BY_MESSAGE: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [
    /^(WRONGPASS|NOAUTH|ERR invalid password|ERR AUTH)/,
    "RDEV_UNAUTHORIZED",
    "refused the user or the password in REDIS_ADMIN_URL",
  ],
  [/^NOPERM/, "RDEV_FORBIDDEN", "does not let the user of REDIS_ADMIN_URL do this"],
  [/timed out|ETIMEDOUT/i, "RDEV_DEADLINE", "did not answer in time"],
  [/^(LOADING|READONLY|MASTERDOWN|BUSY|MISCONF)/, "RDEV_UNREACHABLE", "is not ready for this"],
];

function redisError(error: unknown, address: string): Error {
  if (error instanceof InfraError) return error;
  const { name, message, code } = error as Error & { code?: string };
  const [, known, text] = BY_MESSAGE.find(([pattern]) => pattern.test(message)) ?? [];
  if (known) return new InfraError(known, `Redis at ${address} ${text}: ${message}`);
  if (name === "ReplyError") {
    return new InfraError("RDEV_REFUSED", `Redis at ${address} refused a command: ${message}`);
  }
  return new InfraError(
    "RDEV_UNREACHABLE",
    `Redis at ${address} cannot be reached (${code ?? message}). ` +
      "Is it up, and REDIS_ADMIN_URL right?",
  );
}
