import program from "../../index.ts";
import { parsePlatformConfig } from "../../core/settings.ts";
import { record, type RecordOptions, TENANT } from "./mocks.ts";
import { PLATFORM } from "./platform.ts";

export const VARIABLES = {
  GITEA_URL: "http://gitea",
  GITEA_TOKEN: "planted-gitea",
  WOODPECKER_URL: "http://woodpecker",
  WOODPECKER_TOKEN: "planted-woodpecker",
  DNS_PROVIDER: "powerdns",
  POWERDNS_URL: "http://powerdns",
  POWERDNS_API_KEY: "planted-powerdns",
  REGISTRY_URL: "http://registry",
  REGISTRY_USERNAME: "registry",
  REGISTRY_PASSWORD: "planted-registry",
  REGISTRY_TOKEN_SECRET: "planted-secret-of-32-characters-or-more",
  POSTGRES_ADMIN_URL: "postgres://admin:planted-postgres@db/postgres",
  REDIS_ADMIN_URL: "redis://admin:planted-redis@cache",
};
export const CITADEL = {
  CITADEL_URL: "https://citadel.test",
  CITADEL_API_KEY: "ck_planted_admin",
  CITADEL_AGENT_KEY: "ck_planted_agent",
};

/** Runs index.ts for a stack, with only these variables of the project. */
export async function run(
  stack: string,
  variables: Record<string, string>,
  options: RecordOptions = {},
) {
  const before = { ...process.env };
  for (const name of Object.keys(process.env)) {
    if (/^(GITEA|WOODPECKER|DNS|POWERDNS|CLOUDFLARE|REGISTRY|POSTGRES|REDIS|CITADEL)_/.test(name)) {
      delete process.env[name];
    }
  }
  Object.assign(process.env, variables);
  try {
    return await record(program, { stack, ...options });
  } finally {
    process.env = before;
  }
}

export const platform = { settings: parsePlatformConfig(PLATFORM), citadelTenantId: TENANT };
