import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { Kubernetes } from "./client.ts";

const definition = define({
  module: "kubernetes/running-image",
  type: "kubernetes:RunningImage",
  noun: "running image",
  inputs: z.object({
    namespace: z.string().min(1),
    deployment: z.string().min(1),
    container: z.string().min(1),
    /** The image if there is no such Deployment yet. */
    fallback: z.string().min(1),
    /** Read from the cluster. A program must not set it. */
    image: z.string().optional(),
    /** Read from the cluster, too: why the pods with an image of CI do not come up. */
    problem: z.string().default(""),
    /** Read from the cluster, too: whether CI's rollout of the image is under way. */
    isRollingOut: z.boolean().default(false),
  }),
  attributes: z.object({}),
  replaceOn: ["namespace", "deployment", "container"],
  secrets: [],

  connect: () => Kubernetes.connect(),

  async lookUp(kubernetes, { namespace, deployment, container, fallback }) {
    const live = await kubernetes.deployments.image(namespace, deployment, container);
    // The program itself set the fallback, so it has to wait for its pods.
    return live && live.image !== fallback
      ? live
      : { image: fallback, problem: "", isRollingOut: false };
  },

  // This resource creates nothing on the server, so there is nothing to find, read or delete.
  find: () => Promise.resolve(undefined),
  create: (_kubernetes, { namespace, deployment, container }) =>
    Promise.resolve(`${namespace}/${deployment}/${container}`),
  apply: () => Promise.resolve({}),
  read: () => Promise.resolve({}),
  delete: () => Promise.resolve(),
});

export const provider = dynamicProvider(definition);

/**
 * Reads, in every preview and up, the image that a Deployment's container runs now, and how far its
 * rollout is. Creates nothing.
 *
 * Not `ignoreChanges` on the image: then the engine sends the image of the last `up` with every other
 * change, which undoes an image that kubectl set.
 */
export class RunningImage extends dynamicResource(definition) {
  declare readonly image: pulumi.Output<string>;
  /** "" if nothing is wrong. */
  declare readonly problem: pulumi.Output<string>;
  declare readonly isRollingOut: pulumi.Output<boolean>;
}
