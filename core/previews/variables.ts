import type { Environment } from "../connections.ts";

/** `RDEV_INFRA_PREVIEW_PULUMI_BACKEND_URL` takes the place of `PULUMI_BACKEND_URL` in a preview. */
const FOR_PREVIEWS = "RDEV_INFRA_PREVIEW_";

/** Variables that a preview gets as they are: it cannot read the states or the cluster without them. */
const KEPT =
  /^(PULUMI_BACKEND_URL|PULUMI_CONFIG_PASSPHRASE|PULUMI_ACCESS_TOKEN|KUBECONFIG|DNS_PROVIDER|CITADEL_ENABLED|CITADEL_TENANT_ID|POWERDNS_SERVER_ID|REGISTRY_USERNAME|REGISTRY_CI_USERNAME|(AWS|AZURE|GOOGLE|VAULT)_\w+)$/;

/** Addresses that a preview needs, without the credentials in them. */
const ADDRESSES =
  /^(GITEA|WOODPECKER|POWERDNS|CLOUDFLARE|REGISTRY|CITADEL)_URL$|^(POSTGRES|REDIS)_ADMIN_URL$/;

/** Credentials that must be set and well-formed, but that a preview does not use. */
const PLACEHOLDERS: Environment = {
  GITEA_TOKEN: "not-for-previews",
  WOODPECKER_TOKEN: "not-for-previews",
  POWERDNS_API_KEY: "not-for-previews",
  CLOUDFLARE_API_TOKEN: "not-for-previews",
  REGISTRY_PASSWORD: "not-for-previews",
  REGISTRY_CI_PASSWORD: "not-for-previews",
  REGISTRY_TOKEN_SECRET: "not-for-previews-not-for-previews",
  CITADEL_API_KEY: "ck_not_for_previews",
  CITADEL_AGENT_KEY: "ck_not_for_previews",
};

/**
 * The variables of a preview, from the service's. It gets the backend, the passphrase and the cluster, which
 * `RDEV_INFRA_PREVIEW_…` replaces by accounts that can only read; tokens and passwords of other
 * systems are placeholders.
 */
export function previewVariables(environment: Environment): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || value === "") continue;
    const placeholder = PLACEHOLDERS[name];
    if (KEPT.test(name)) found[name] = value;
    else if (ADDRESSES.test(name)) found[name] = withoutCredentials(value);
    else if (placeholder !== undefined) found[name] = placeholder;
  }
  for (const [name, value] of Object.entries(environment)) {
    if (name.startsWith(FOR_PREVIEWS) && value) found[name.slice(FOR_PREVIEWS.length)] = value;
  }
  // The working folder is new, so Pulumi must take the salt of a stack's secrets from its state.
  return { ...found, PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: "true" };
}

function withoutCredentials(text: string): string {
  if (!URL.canParse(text)) return text;
  const url = new URL(text);
  // Some hosts take a token in place of the user's name.
  if (url.username !== "" || url.password !== "") {
    url.username = "preview";
    url.password = "not-for-previews";
  }
  return url.href.replace(/\/$/, "");
}
