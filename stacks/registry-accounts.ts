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

/** A project's own accounts in the image registry. */
interface RegistryAccounts {
  /** 0 if the platform's setting gives it none; undefined if there is no secret to derive them. */
  readonly version: number | undefined;
  /** The pipeline's account. */
  readonly push?: Account;
  /** The pods' account. */
  readonly pull?: Account;
}

type Settings = Pick<PlatformSettings, "registryAccounts" | "credentialsVersion">;

/**
 * A project's own accounts. If all pipelines share one account, it has none, and a warning is logged.
 * Throws RDEV_CONNECTION if the platform's setting requires accounts, but there is no secret.
 */
export function registryAccounts(
  platform: string,
  slug: string,
  { registryAccounts: setting, credentialsVersion: version }: Settings,
): RegistryAccounts {
  const { tokenSecret, hasSharedAccount } = connection("registry");
  if (setting === "project" && tokenSecret === undefined) {
    throw new InfraError(
      "RDEV_CONNECTION",
      "REGISTRY_TOKEN_SECRET is missing, but the platform's setting rdev:registryAccounts is project. " +
        "docs/operations.md explains how to set up the registry's tokens.",
    );
  }
  if (tokenSecret === undefined || setting === "shared") {
    void pulumi.log.warn(
      `All pipelines use ${hasSharedAccount ? "one account" : "the administrator's account"} of the ` +
        "registry, so each can overwrite the images of every other project" +
        `${hasSharedAccount ? "" : " and delete them"}. Set REGISTRY_TOKEN_SECRET to give each project ` +
        "its own accounts; docs/operations.md explains how to set up the registry for this.",
    );
    return { version: setting === "shared" ? SHARED_BY_SETTING : undefined };
  }
  const account = (kind: AccountKind) =>
    registryAccount(tokenSecret, { platform, slug, kind, version });
  return { version, push: account("push"), pull: account("pull") };
}
