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

/** The class of a definition's resources: inputs go in, and attributes come out. */
type ResourceClass<D extends Shapes> = new (
  name: string,
  args: { readonly [K in keyof z.input<D["inputs"]>]: pulumi.Input<z.input<D["inputs"]>[K]> },
  options?: pulumi.CustomResourceOptions,
) => pulumi.CustomResource & {
  readonly [K in keyof D["attributes"]["shape"]]: pulumi.Output<
    z.output<D["attributes"]["shape"][K]>
  >;
};

/**
 * The base class of a definition's resources. Unlike pulumi.dynamic.Resource, it does not serialize
 * the provider's code into the state.
 */
export function dynamicResource<D extends Shapes>(definition: D): ResourceClass<D> {
  const { module, type, inputs, attributes, secrets } = definition;
  class Resource extends pulumi.CustomResource {
    constructor(
      name: string,
      args: Readonly<Record<string, unknown>>,
      options?: pulumi.CustomResourceOptions,
    ) {
      const props: Record<string, unknown> = {};
      for (const key of Object.keys(attributes.shape)) props[key] = undefined;
      for (const key of Object.keys(inputs.shape)) {
        const value = args[key];
        props[key] = secrets.includes(key) && value !== undefined ? pulumi.secret(value) : value;
      }
      props["__provider"] = providerReference(module);
      super(
        `pulumi-nodejs:dynamic/${type}`,
        name,
        props,
        pulumi.mergeOptions(options, { additionalSecretOutputs: [...secrets] }),
      );
    }
  }
  // The engine's answer sets the attributes, which the compiler cannot see.
  return Resource as unknown as ResourceClass<D>;
}
