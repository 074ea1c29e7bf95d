import { createHash } from "node:crypto";
import { type ChainableCommander, Redis as Connection } from "ioredis";
import { connection } from "../../core/connections.ts";
import { redisError } from "./errors.ts";

/** Field: a user's name; value: its mark. Redis keeps no comment with a user. */
const OWNERS = "rdev-infra:owners";

/** An ACL user, as the server describes it. */
export interface AclUser {
  /** SHA-256 of each, in hex. */
  readonly passwords: readonly string[];
  /** Flags, keys, channels and commands in the server's own words: good for comparing only. */
  readonly rule: string;
}

export interface UserSettings {
  /** Of keys and channels. */
  readonly prefix: string;
  readonly password: string;
  /** Rules for commands, in the words of ACL SETUSER. */
  readonly commands: string;
  readonly mark: string;
}

/** Redis' ACL users, 7 or later, one server. The user of REDIS_ADMIN_URL may do everything. */
export class Redis {
  readonly #redis: Connection;
  readonly #address: string;
  /** ioredis rejects with "Connection is closed.", and tells the reason only by event. */
  #reason: Error | undefined;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;

  private constructor(url: URL) {
    this.host = url.hostname;
    this.port = Number(url.port || 6379);
    this.tls = url.protocol === "rediss:";
    this.#address = `${this.host}:${this.port}`;
    const server = new URL(url);
    // Marks and keys are in database 0 whatever the URL says: users cannot select another.
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
    this.#redis.on("error", (error: Error) => (this.#reason = error));
  }

  /** Errors: RDEV_UNREACHABLE, RDEV_UNAUTHORIZED, RDEV_DEADLINE. */
  static async connect({ url } = connection("redis")): Promise<Redis> {
    const redis = new Redis(new URL(url));
    await redis.#readable(() => redis.#redis.connect());
    return redis;
  }

  close(): Promise<void> {
    this.#redis.disconnect();
    return Promise.resolve();
  }

  async user(name: string): Promise<AclUser | undefined> {
    const flat = await this.#readable(() => this.#redis.call("ACL", "GETUSER", name));
    if (!Array.isArray(flat)) return undefined;
    const found = new Map<string, unknown>();
    for (let i = 0; i < flat.length; i += 2) found.set(String(flat[i]), flat[i + 1]);
    const words = ["flags", "keys", "channels", "commands", "selectors"].flatMap((part) =>
      [found.get(part)].flat(Infinity).join(" ").split(" ").filter(Boolean),
    );
    return {
      passwords: (found.get("passwords") as string[] | undefined) ?? [],
      // Their order changes when the server is started again.
      rule: words.toSorted().join(" "),
    };
  }

  async mark(name: string): Promise<string | undefined> {
    return (await this.#readable(() => this.#redis.hget(OWNERS, name))) ?? undefined;
  }

  /** Marks a user and makes it, at once; it cannot log in yet. */
  async createUser(name: string, mark: string): Promise<void> {
    await this.#atOnce((multi) =>
      multi.hset(OWNERS, name, mark).call("ACL", "SETUSER", name, "reset"),
    );
  }

  /** Sets all of its rules anew, and its mark. Connections of the user stay. */
  async setUser(name: string, settings: UserSettings): Promise<void> {
    const { prefix, password, commands, mark } = settings;
    const pattern = `${escapeGlob(prefix)}*`;
    const rules = [`~${pattern}`, `&${pattern}`, ...commands.split(" "), `#${sha256(password)}`];
    await this.#atOnce((multi) =>
      multi.hset(OWNERS, name, mark).call("ACL", "SETUSER", name, "reset", "on", ...rules),
    );
    await this.#persist();
  }

  /** Ends its connections, deletes its keys, then itself and its mark. */
  async deleteUser(name: string, prefix: string): Promise<void> {
    await this.#readable(async () => {
      await this.#redis.call("ACL", "SETUSER", name, "off");
      await this.#redis.call("CLIENT", "KILL", "USER", name);
      // Before the user goes: only through it is a delete that was cut short found again.
      await this.#deleteKeys(prefix);
    });
    await this.#atOnce((multi) => multi.call("ACL", "DELUSER", name).hdel(OWNERS, name));
    await this.#persist();
  }

  /** Whether any key begins with this. */
  async hasKeys(prefix: string): Promise<boolean> {
    return this.#readable(async () => {
      for await (const keys of this.#keys(prefix)) if (keys.length > 0) return true;
      return false;
    });
  }

  async #deleteKeys(prefix: string): Promise<void> {
    for await (const keys of this.#keys(prefix)) {
      if (keys.length > 0) await this.#redis.unlink(...keys);
    }
  }

  /** In portions, some of them empty. */
  async *#keys(prefix: string): AsyncIterable<string[]> {
    let cursor = "0";
    do {
      const pattern = `${escapeGlob(prefix)}*`;
      const [next, keys] = await this.#redis.scan(cursor, "MATCH", pattern, "COUNT", 1000);
      yield keys;
      cursor = next;
    } while (cursor !== "0");
  }

  /** Users are in the server's memory only, until it is told to write them down. */
  async #persist(): Promise<void> {
    try {
      await this.#redis.call("ACL", "SAVE");
    } catch {
      // Without an ACL file users belong to the server's configuration.
      await this.#redis.call("CONFIG", "REWRITE").catch((error: Error) => {
        warnOnce(
          `Redis at ${this.#address} keeps its users in memory only and will lose them when it is ` +
            `started again (${error.message}). Configure an aclfile.`,
        );
      });
    }
  }

  async #atOnce(commands: (multi: ChainableCommander) => ChainableCommander): Promise<void> {
    await this.#readable(async () => {
      const results = await commands(this.#redis.multi()).exec();
      for (const [error] of results ?? []) if (error) throw error;
    });
  }

  async #readable<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { message, previousErrors } = error as Error & { previousErrors?: Error[] };
      // Of a transaction, the command that was refused says more than "discarded".
      const reason = message === "Connection is closed." ? this.#reason : previousErrors?.[0];
      throw redisError(reason ?? error, this.#address);
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
  console.error(text);
}
