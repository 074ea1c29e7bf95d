import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { request } from "undici";
import { InfraError } from "../../core/errors.ts";
import { type Context, type Part, partFolder } from "../context.ts";
import { requireCommand, startServer } from "../process.ts";

/** The locations of the SQLite backend's schema in the packages of different systems. */
const SCHEMAS = [
  "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql",
  "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql",
  "/usr/share/doc/pdns/schema.sqlite3.sql",
  "/usr/local/share/doc/pdns/schema.sqlite3.sql",
  "/opt/homebrew/share/doc/pdns/schema.sqlite3.sql",
];

export interface PowerDnsServer {
  /** The URL of the HTTP API. */
  readonly url: string;
  readonly apiKey: string;
  /** `host:port` of the DNS server, UDP and TCP. */
  readonly address: string;
  readonly part: Part;
}

/** Starts PowerDNS with an empty zone for `domain`. Caches are off, so new records are served at once. */
export async function startPowerDns(context: Context, domain: string): Promise<PowerDnsServer> {
  const folder = await partFolder(context, "powerdns");
  const command = await requireCommand("pdns_server");
  const database = join(folder, "zones.sqlite3");
  await createTables(database);
  const dnsPort = context.ports.take();
  const webPort = context.ports.take();
  const apiKey = context.secrets.make();
  const settings = {
    launch: "gsqlite3",
    "gsqlite3-database": database,
    "gsqlite3-pragma-synchronous": 0,
    "local-address": "127.0.0.1",
    "local-port": dnsPort,
    api: "yes",
    "api-key": apiKey,
    webserver: "yes",
    "webserver-address": "127.0.0.1",
    "webserver-port": webPort,
    "webserver-allow-from": "127.0.0.1",
    "socket-dir": folder,
    daemon: "no",
    guardian: "no",
    "cache-ttl": 0,
    "query-cache-ttl": 0,
    "negquery-cache-ttl": 0,
    "zone-cache-refresh-interval": 0,
    "security-poll-suffix": "",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(folder, "pdns.conf"), lines.join(""), { mode: 0o600 });

  const url = `http://127.0.0.1:${webPort}`;
  let version = "unknown";
  await startServer(context, {
    name: "powerdns",
    command,
    args: [`--config-dir=${folder}`],
    folder,
    ready: async () => {
      const server = (await call(url, apiKey, "GET", "")) as { version: string };
      version = server.version;
    },
  });
  await call(url, apiKey, "POST", "/zones", {
    name: `${domain}.`,
    kind: "Native",
    nameservers: [`ns1.${domain}.`],
    rrsets: [
      {
        name: `ns1.${domain}.`,
        type: "A",
        ttl: 300,
        records: [{ content: "127.0.0.1", disabled: false }],
      },
    ],
  });
  const address = `127.0.0.1:${dnsPort}`;
  return {
    url,
    apiKey,
    address,
    part: {
      name: "PowerDNS",
      real: true,
      version,
      address,
      reach: `dig @127.0.0.1 -p ${dnsPort} ${domain} NS; its API is at POWERDNS_URL, with POWERDNS_API_KEY`,
    },
  };
}

async function createTables(file: string): Promise<void> {
  const database = new DatabaseSync(file);
  database.exec(await schema());
  database.close();
  await chmod(file, 0o600);
}

async function schema(): Promise<string> {
  for (const path of SCHEMAS) {
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) return text;
  }
  throw new InfraError(
    "RDEV_PREREQUISITE",
    `The schema of PowerDNS's SQLite backend is not found. Searched: ${SCHEMAS.join(", ")}. Install the backend.`,
  );
}

async function call(
  url: string,
  apiKey: string,
  method: "GET" | "POST",
  path: string,
  content?: object,
): Promise<unknown> {
  const { statusCode, body } = await request(`${url}/api/v1/servers/localhost${path}`, {
    method,
    headers: { "x-api-key": apiKey, "content-type": "application/json" },
    ...(content && { body: JSON.stringify(content) }),
  });
  const text = await body.text();
  if (statusCode >= 300) {
    throw new InfraError(
      "RDEV_SANDBOX",
      `PowerDNS answered ${statusCode} to ${method} ${path}: ${text}`,
    );
  }
  return JSON.parse(text);
}
