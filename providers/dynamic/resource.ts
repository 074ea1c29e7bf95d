import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import type { Definition } from "./definition.ts";

/**
 * The text that a state stores instead of a provider's code. It loads the `provider` export of the
 * module, so a fix in `delete` works at once and a code change is not a diff.
 *
 * Never change this text: every existing state contains it.
 */
export function providerReference(module: string): string {
  return (
    `exports.handler = () => require("node:module")` +
    `.createRequire(process.cwd() + "/")("rdev-infra/providers/${module}").provider;`
  );
}

/** The part of a definition that a resource needs. */
type Shapes = Pick<Definition, "module" | "type" | "inputs" | "attributes"> & {
  readonly secrets: readonly string[];
};

/** The arguments that a program passes for the inputs of a definition. */
export type Args<D extends Pick<Definition, "inputs">> = {
  readonly [K in keyof z.input<D["inputs"]>]: pulumi.Input<z.input<D["inputs"]>[K]>;
};

/**
 * The base of every dynamic resource. Unlike pulumi.dynamic.Resource, it does not serialize the
 * provider's code into the state.
 */
export abstract class DynamicResource<D extends Shapes> extends pulumi.CustomResource {
  constructor(definition: D, name: string, args: Args<D>, options?: pulumi.CustomResourceOptions) {
    const { secrets } = definition;
    const props: Record<string, unknown> = {};
    for (const key of Object.keys(definition.attributes.shape)) props[key] = undefined;
    for (const key of Object.keys(definition.inputs.shape)) {
      const value: unknown = (args as Record<string, unknown>)[key];
      props[key] = secrets.includes(key) && value !== undefined ? pulumi.secret(value) : value;
    }
    props["__provider"] = providerReference(definition.module);
    super(
      `pulumi-nodejs:dynamic/${definition.type}`,
      name,
      props,
      pulumi.mergeOptions(options, { additionalSecretOutputs: [...secrets] }),
    );
  }
}
