import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { MANAGED_BY, markOf, type Owner, ownerSchema, ownershipOf } from "../../core/ownership.ts";
import { InfraError } from "../../core/errors.ts";
import { REPOSITORY_NAME, repositoryOf, SHARED_BY_SETTING } from "../../core/registry.ts";
import { type Failure, define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { assertPushable } from "./account-proof.ts";
import { Registry } from "./client.ts";
import { MARK, markBefore, markPath, readMark } from "./mark.ts";

const MARK_TYPE = "application/vnd.rdev-infra.mark.v1";

const repositoryName = z
  .string()
  .regex(REPOSITORY_NAME, "is no repository name of an OCI registry");

const definition = define({
  module: "registry/repository",
  type: "registry:Repository",
  noun: "registry path",
  inputs: z.object({
    /** The project's slug. */
    path: repositoryName,
    /** The path in the registry that the project's images are below, as `team`. */
    prefix: repositoryName.optional(),
    /**
     * The version of the project's own accounts. All pipelines share an account where it is
     * SHARED_BY_SETTING, or missing because the run knows no secret that accounts derive from.
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
    await pushMark(registry, repositoryOf(prefix, path), owner);
    return path;
  },

  // The mark is all there is to it; images are CI's.
  async apply(registry, _id, { path, prefix, owner, accountVersion }, last) {
    const repository = repositoryOf(prefix, path);
    const mark = await registry.annotations(markPath(repository), MARK);
    if (ownershipOf(mark, owner) !== "ours") {
      await pushMark(registry, repository, owner);
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
    // Last, so that a delete that was interrupted can go on: the path is still ours.
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
  // The versions before had no owner in their states, and looked below no prefix.
  if (last.owner === undefined || last.prefix === prefix) return [];
  const [from, to] = [repositoryOf(last.prefix, path), repositoryOf(prefix, path)];
  return [
    {
      property: "prefix",
      reason:
        `would move the project's images from ${from} to ${to}, which rdev-infra does not do. ` +
        "Put the path in rdev:registry back, or destroy the project first",
    },
  ];
};

/** A variable that is missing must not hand the shared account to a project that had its own. */
const lostAccounts: Rule = ({ accountVersion }, last) => {
  if (!last.accountVersion || accountVersion !== undefined) return [];
  return [
    {
      property: "accountVersion",
      reason:
        "is missing: the project has registry accounts of its own, and REGISTRY_TOKEN_SECRET, which " +
        "they derive from, is not set. Set it; or set rdev:registryAccounts to shared on the " +
        "platform, if its pipeline is to have the account that all projects share",
    },
  ];
};

/** Once the new mark is there. A registry that allows no deletes keeps the old one, which is harmless. */
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

async function pushMark(registry: Registry, repository: string, owner: Owner): Promise<void> {
  await registry.pushEmpty(markPath(repository), MARK, MARK_TYPE, markOf(owner));
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

/** A project's own path in an OCI registry. Delete deletes all that is tagged there. */
export class Repository extends DynamicResource<typeof definition> {
  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
