import * as pulumi from "@pulumi/pulumi";
import { connection } from "../core/connections.ts";
import { InfraError } from "../core/errors.ts";
import {
  type Account,
  type AccountKind,
  registryAccount,
  SHARED_BY_SETTING,
} from "../core/registry.ts";
import type { PlatformSettings } from "../core/settings.ts";

/** A project's own accounts of the image registry. */
export interface RegistryAccounts {
  /** 0: by the platform's setting it has none; undefined: for want of a secret it has none. */
  readonly version: number | undefined;
  /** For its pipeline. */
  readonly push?: Account;
  /** For its pods. */
  readonly pull?: Account;
}

type Settings = Pick<PlatformSettings, "registryAccounts" | "credentialsVersion">;

/**
 * A project's own accounts; none, with a warning, where all pipelines share one. Throws
 * RDEV_CONNECTION where the platform wants accounts for each project, and there is no secret for them.
 */
export function registryAccounts(
  platform: string,
  slug: string,
  { registryAccounts: wanted, credentialsVersion: version }: Settings,
): RegistryAccounts {
  const { tokenSecret, hasSharedAccount } = connection("registry");
  if (wanted === "project" && tokenSecret === undefined) {
    throw new InfraError(
      "RDEV_CONNECTION",
      "REGISTRY_TOKEN_SECRET is missing: the platform's setting rdev:registryAccounts is project. " +
        "docs/operations.md says how the registry's tokens are set up.",
    );
  }
  if (tokenSecret === undefined || wanted === "shared") {
    void pulumi.log.warn(
      `All pipelines push with ${hasSharedAccount ? "one account" : "the administrator's account"} ` +
        "of the registry: each can overwrite the images of every other project" +
        `${hasSharedAccount ? "" : ", and delete them"}. Set REGISTRY_TOKEN_SECRET to give each ` +
        "project accounts of its own; docs/operations.md says how the registry is set up for it.",
    );
    return { version: wanted === "shared" ? SHARED_BY_SETTING : undefined };
  }
  const account = (kind: AccountKind) =>
    registryAccount(tokenSecret, { platform, slug, kind, version });
  return { version, push: account("push"), pull: account("pull") };
}
