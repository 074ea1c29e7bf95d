import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { MANAGED_BY, markOf, type Owner, ownerSchema, ownershipOf } from "../../core/ownership.ts";
import { InfraError } from "../../core/errors.ts";
import {
  type AccountName,
  registryAccount,
  REPOSITORY_NAME,
  repositoryOf,
  SHARED_BY_SETTING,
} from "../../core/registry.ts";
import { type Failure, define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { NegotiatedAuthorization } from "./authorization.ts";
import { Registry } from "./client.ts";
import { MARK, markBefore, markPath, pushMark, readMark } from "./mark.ts";

const repositoryName = z
  .string()
  .regex(REPOSITORY_NAME, "is not a repository name of an OCI registry");

const definition = define({
  module: "registry/repository",
  type: "registry:Repository",
  noun: "registry path",
  inputs: z.object({
    /** The project's slug. */
    path: repositoryName,
    /** The parent path of the project's images in the registry: `team`. */
    prefix: repositoryName.optional(),
    /**
     * The version of the project's own accounts. All pipelines share one account if it is
     * SHARED_BY_SETTING, or if it is missing because REGISTRY_TOKEN_SECRET is not set.
     */
    accountVersion: z.int().min(SHARED_BY_SETTING).optional(),
    owner: ownerSchema,
  }),
  attributes: z.object({}),
  replaceOn: ["path"],
  secrets: [],

  connect: () => new Registry(),

  rules: (inputs, last) => [...movedPath(inputs, last), ...lostAccounts(inputs, last)],

  async find(registry, { path, prefix, owner }) {
    const repository = repositoryOf(prefix, path);
    const mark = await readMark(registry, repository, path);
    if (mark) return { id: path, ownership: ownershipOf(mark, owner) };
    const tags = await registry.tags(repository);
    return tags.length > 0 ? { id: path, ownership: "unmarked" } : undefined;
  },

  async create(registry, { path, prefix, owner }) {
    await pushMark(registry, repositoryOf(prefix, path), markOf(owner));
    return path;
  },

  // Only the mark is written. Images belong to CI.
  async apply(registry, _id, { path, prefix, owner, accountVersion }, last) {
    const repository = repositoryOf(prefix, path);
    const mark = await registry.annotations(markPath(repository), MARK);
    if (ownershipOf(mark, owner) !== "ours") {
      await pushMark(registry, repository, markOf(owner));
      if (last) await deleteMarkBefore(registry, path, repository);
    }
    if (accountVersion) {
      const { platform, project: slug } = owner;
      await assertPushable(repository, { platform, slug, kind: "push", version: accountVersion });
    }
    return {};
  },

  async read(registry, _id, { path, prefix, owner }) {
    const mark = await readMark(registry, repositoryOf(prefix, path), path);
    return ownershipOf(mark, owner) === "ours" ? {} : undefined;
  },

  assertVisible: (registry, { path, prefix }) =>
    registry.assertWritable(markPath(repositoryOf(prefix, path))),

  async delete(registry, _id, { path, prefix, owner }) {
    const repository = repositoryOf(prefix, path);
    await deleteTagged(registry, repository);
    if (ownershipOf(await markBefore(registry, path), owner) === "ours") {
      await deleteTag(registry, path, MARK);
    }
    // The mark goes last, so that the next delete can continue after an interruption.
    await deleteTag(registry, markPath(repository), MARK);
  },
});

type Rule = (
  inputs: { readonly path: string; readonly prefix?: string | undefined } & Accounts,
  last: { readonly prefix?: string | undefined; readonly owner?: Owner } & Accounts,
) => Failure[];

interface Accounts {
  readonly accountVersion?: number | undefined;
}

const movedPath: Rule = ({ prefix, path }, last) => {
  // The states of earlier versions have no owner, and those versions used no prefix.
  if (last.owner === undefined || last.prefix === prefix) return [];
  const [from, to] = [repositoryOf(last.prefix, path), repositoryOf(prefix, path)];
  return [
    {
      property: "prefix",
      reason:
        `would move the project's images from ${from} to ${to}, which rdev-infra does not do. ` +
        "Restore the path in rdev:registry, or destroy the project first",
    },
  ];
};

/** A project with its own accounts must not get the shared one only because a variable is missing. */
const lostAccounts: Rule = ({ accountVersion }, last) => {
  if (!last.accountVersion || accountVersion !== undefined) return [];
  return [
    {
      property: "accountVersion",
      reason:
        "is missing: the project has registry accounts of its own, and REGISTRY_TOKEN_SECRET, which " +
        "they derive from, is not set. Set it. Or, to give its pipeline the account that all projects " +
        "share, set rdev:registryAccounts to shared on the platform",
    },
  ];
};

/** Deletes the old mark after a new one was written. A registry without deletes keeps it, harmlessly. */
async function deleteMarkBefore(registry: Registry, path: string, repository: string) {
  if (repository !== path && (await registry.annotations(markPath(path), MARK))) return;
  const mark = await registry.annotations(path, MARK);
  if (mark?.["managed-by"] !== MANAGED_BY) return;
  try {
    await deleteTag(registry, path, MARK);
  } catch (error) {
    if (!(error instanceof InfraError && error.code === "RDEV_REFUSED")) throw error;
  }
}

/** Proves that the project's own account can push. Otherwise the error names the missing setup. */
async function assertPushable(repository: string, name: AccountName): Promise<void> {
  const { url, tokenSecret } = connection("registry");
  if (tokenSecret === undefined) {
    throw new InfraError("RDEV_CONNECTION", "REGISTRY_TOKEN_SECRET is missing.");
  }
  const account = registryAccount(tokenSecret, name);
  const credential = `the project's account ${account.username} (of REGISTRY_TOKEN_SECRET)`;
  const authorization = new NegotiatedAuthorization({ url, ...account }, credential);
  if (!(await authorization.isByToken())) {
    throw new InfraError(
      "RDEV_REFUSED",
      `The registry at ${url} does not ask for tokens, so projects cannot have their own accounts. ` +
        "docs/operations.md says how to set that up. Until then set rdev:registryAccounts to shared " +
        "on the platform.",
    );
  }
  const options = { url, authorization, credential, secrets: [account.password] };
  await new Registry(options).assertWritable(repository);
}

async function deleteTagged(registry: Registry, repository: string): Promise<void> {
  const digests = new Set<string>();
  for (const tag of await registry.tags(repository)) {
    const digest = await registry.digest(repository, tag);
    if (digest !== undefined) digests.add(digest);
  }
  for (const digest of digests) await registry.deleteManifest(repository, digest);
}

async function deleteTag(registry: Registry, repository: string, tag: string): Promise<void> {
  const digest = await registry.digest(repository, tag);
  if (digest !== undefined) await registry.deleteManifest(repository, digest);
}

export const provider = dynamicProvider(definition);

/** A project's own path in an OCI registry. Delete deletes everything that is tagged there. */
export class Repository extends dynamicResource(definition) {}
