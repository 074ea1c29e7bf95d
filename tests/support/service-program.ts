import program from "../../index.ts";
import { record, type RecordOptions } from "./mocks.ts";
import { PLATFORM } from "./platform.ts";
import { withVariables } from "./variables.ts";

export const IDENTITY = {
  people: {
    issuer: "https://git.example.test",
    clientId: "client",
    roles: [{ group: "platform", role: "admin" }],
    signIn: { publicUrl: "https://rdev-infra.staging.example.test" },
  },
};
export const SERVICE = {
  image: "registry.example.test/rdev-infra:1.2.3",
  host: "rdev-infra.staging.example.test",
};
export const RECEIVERS = {
  webhooks: [{ name: "ops", url: "https://hooks.example.com/rdev", events: ["rollout.ended"] }],
};
export const WEBHOOK_SECRET = `whsec_${Buffer.from("planted-secret-of-a-receiver").toString("base64")}`;
export const RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
export const VARIABLES = {
  GITEA_URL: "http://gitea.test",
  GITEA_TOKEN: "planted-gitea",
  GITEA_COMMENT_TOKEN: "planted-comments",
  WOODPECKER_URL: "http://woodpecker.test",
  WOODPECKER_TOKEN: "planted-woodpecker",
  DNS_PROVIDER: "powerdns",
  POWERDNS_URL: "http://powerdns.test",
  POWERDNS_API_KEY: "planted-powerdns",
  REGISTRY_URL: "http://registry.test",
  REGISTRY_USERNAME: "registry",
  REGISTRY_PASSWORD: "planted-registry",
  REGISTRY_TOKEN_KEY: undefined,
  REGISTRY_TOKEN_KEY_FILE: undefined,
  POSTGRES_ADMIN_URL: "postgres://admin:planted-postgres@127.0.0.1/postgres",
  RDEV_INFRA_SERVICE_POSTGRES_ADMIN_URL: "postgres://admin:planted-postgres@db/postgres",
  REDIS_ADMIN_URL: "redis://admin:planted-redis@cache",
  CITADEL_URL: "https://citadel.test",
  CITADEL_API_KEY: "ck_planted_admin",
  CITADEL_AGENT_KEY: "ck_planted_agent",
  DATABASE_URL: "postgres://rdev_service:planted-service@db/rdev_infra",
  DATABASE_OWNER_URL: "postgres://rdev_owner:planted-owner@db/rdev_infra",
  PULUMI_BACKEND_URL: "postgres://states:planted-states@db/states",
  PULUMI_CONFIG_PASSPHRASE: "planted-passphrase",
  RDEV_INFRA_SESSION_KEY: "planted-session-key-of-32-characters",
};

type Variables = Readonly<Record<string, string | undefined>>;

/** What the platform's program registers with the setting `service`, or without it. */
export function run(
  service: object | undefined,
  more: Variables = {},
  options: RecordOptions = {},
) {
  const config = { ...PLATFORM, ...(service && { service: JSON.stringify(service) }) };
  return withVariables({ ...VARIABLES, ...more }, () =>
    record(program, { stack: "staging", config, ...options }),
  );
}

interface Container {
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly { name: string; value: string }[];
  readonly envFrom: readonly { secretRef: { name: string } }[];
  readonly securityContext: object;
  readonly volumeMounts: readonly { name: string; mountPath: string }[];
}

export interface PodSpec {
  readonly imagePullSecrets?: readonly { name: string }[];
  readonly automountServiceAccountToken: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly [Container];
  readonly volumes: readonly { name: string }[];
  readonly securityContext: object;
}

/** The pod of a Deployment or Job. */
export const podOf = ({ inputs }: { readonly inputs: Readonly<Record<string, unknown>> }) =>
  (inputs["spec"] as { template: { spec: PodSpec } }).template.spec;
