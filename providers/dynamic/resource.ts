import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import type { Definition } from "./definition.ts";

/**
 * What a state keeps instead of a provider's code: a reference to its module, whose `provider`
 * export is then used. So a fixed `delete` works at once, and a change of code is no diff.
 * A promise to every state that exists: this text is never changed.
 */
export function providerReference(module: string): string {
  return (
    `exports.handler = () => require("node:module")` +
    `.createRequire(process.cwd() + "/")("rdev-infra/providers/${module}").provider;`
  );
}

/** What a resource needs to know of its definition. */
type Shapes = Pick<Definition, "module" | "type" | "inputs" | "attributes"> & {
  readonly secrets: readonly string[];
};

/** The inputs of a definition, as a program gives them. */
export type Args<D extends Pick<Definition, "inputs">> = {
  readonly [K in keyof z.input<D["inputs"]>]: pulumi.Input<z.input<D["inputs"]>[K]>;
};

/**
 * The base of every dynamic resource. Unlike pulumi.dynamic.Resource it does not serialize the
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
