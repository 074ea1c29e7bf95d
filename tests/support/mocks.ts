import * as pulumi from "@pulumi/pulumi";
import { isSecret } from "../../core/engine-values.ts";
import type { StateResource } from "../../core/recorded-settings.ts";

// With this, an output in a string throws instead of becoming a text about outputs.
process.env["PULUMI_ERROR_OUTPUT_STRING"] = "true";

interface Registered {
  readonly type: string;
  readonly name: string;
  /** Plain values: secrets are unwrapped. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** The top-level inputs that were secret or contained a secret. */
  readonly secrets: readonly string[];
  readonly custom: boolean;
}

export interface Recording {
  readonly all: readonly Registered[];
  /** The resources of a type. The end of a type is sufficient: `gitea:Repository`. */
  readonly byType: (type: string) => Registered[];
  /** The only resource of a type, or the one with a name. */
  readonly one: (type: string, name?: string) => Registered;
}

export interface RecordOptions {
  readonly stack?: string;
  readonly config?: Readonly<Record<string, string>>;
  readonly preview?: boolean;
  /** The stack's own state, by URN. Default: empty. */
  readonly state?: Readonly<Record<string, StateResource>>;
  /** The outputs of the platform's stack. */
  readonly platform?: Readonly<Record<string, unknown>>;
  /** What the cluster says about the running image. Default: the fallback runs. */
  readonly runningImage?: {
    readonly image: string;
    readonly problem?: string;
    readonly isRollingOut?: boolean;
  };
  /** The kinds that the cluster has, of those that it may lack. Default: all. */
  readonly served?: readonly string[];
  /** The sslmode of the administrator's URL of PostgreSQL. */
  readonly sslmode?: string;
}

/**
 * Runs a program with Pulumi's mocks and waits for all registrations. Returns the resources and the
 * plain value of the result. Two resources with the same type and name are an error, as in the engine.
 */
export async function record<T>(
  program: () => T | Promise<T>,
  options: RecordOptions = {},
): Promise<Recording & { readonly result: unknown }> {
  const all: Registered[] = [];
  const twice: string[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs, custom = true }) => {
        if (all.some((other) => other.type === type && other.name === name)) {
          twice.push(`${type} ${name}`);
        }
        const given = inputs as Record<string, unknown>;
        const secrets = Object.keys(given).filter((key) => holdsSecret(given[key]));
        const plain = unwrap(given) as Record<string, unknown>;
        all.push({ type, name, inputs: plain, secrets, custom });
        return {
          id: idOf(type, name, plain),
          state: { ...given, ...stateOf(type, name, plain, options) },
        };
      },
      call({ token }) {
        if (token === "pulumi:pulumi:readStackOutputs") return { outputs: options.platform ?? {} };
        return token === "pulumi:pulumi:readStackResourceOutputs"
          ? { outputs: options.state ?? {} }
          : {};
      },
    },
    "rdev",
    options.stack ?? "staging",
    options.preview ?? false,
    "organization",
  );
  const config = Object.entries(options.config ?? {}).map(([key, value]) => [`rdev:${key}`, value]);
  pulumi.runtime.setAllConfig(Object.fromEntries(config) as Record<string, string>);
  // Otherwise, pending calls of a failed program would reach the mocks of the next one.
  const result = await resultOf(program).finally(settled);
  if (twice.length > 0) throw new Error(`registered twice: ${twice.join(", ")}`);
  const byType = (type: string) =>
    all.filter((one) => one.type === type || one.type.endsWith(`/${type}`));
  return {
    all,
    byType,
    one(type, name) {
      const found = byType(type).filter((one) => name === undefined || one.name === name);
      if (found.length !== 1 || !found[0]) {
        throw new Error(`${found.length} of ${type} ${name ?? ""}, wanted 1`);
      }
      return found[0];
    },
    result,
  };
}

/** The value of an output, secret or not. */
export function valueOf<T>(output: pulumi.Output<T>): Promise<pulumi.Unwrap<T>> {
  return new Promise((resolve) => {
    output.apply((value) => resolve(value as pulumi.Unwrap<T>));
  });
}

async function resultOf<T>(program: () => T | Promise<T>) {
  return valueOf(pulumi.output(await program()));
}

/** Resolves once all registrations are complete. */
async function settled(): Promise<void> {
  const { waitForRPCs } = (await import("@pulumi/pulumi/runtime/settings.js")) as unknown as {
    waitForRPCs: () => Promise<void>;
  };
  await waitForRPCs();
}

function idOf(type: string, name: string, inputs: Record<string, unknown>): string {
  if (type.endsWith("gitea:Repository")) {
    return `${String(inputs["organization"])}/${String(inputs["name"])}`;
  }
  if (type.endsWith("registry:Repository")) return String(inputs["path"]);
  return type.endsWith("kubernetes:Namespace") ? String(inputs["name"]) : `${name}-id`;
}

/** The outputs that the real providers would add. */
function stateOf(
  type: string,
  name: string,
  inputs: Record<string, unknown>,
  options: RecordOptions,
): Record<string, unknown> {
  switch (type.replace(/^pulumi-nodejs:dynamic\//, "")) {
    case "random:index/randomPassword:RandomPassword":
      return { result: `password-of-${name}` };
    case "random:index/randomId:RandomId":
      return { hex: "0123456789abcdef" };
    case "gitea:Repository":
      return { repositoryId: 7, cloneUrl: `http://git/${name}.git`, htmlUrl: `http://git/${name}` };
    case "postgres:Database":
      return {
        host: "db",
        port: 5432,
        sslmode: options.sslmode ?? "",
        username: inputs["name"],
        database: inputs["name"],
      };
    case "redis:User":
      return { host: "cache", port: 6379, username: inputs["name"], tls: false };
    case "woodpecker:Repository":
      return { repositoryId: 3 };
    case "woodpecker:Pipeline":
      return { number: 1 };
    case "kubernetes:RunningImage":
      return {
        image: inputs["fallback"],
        problem: "",
        isRollingOut: false,
        ...options.runningImage,
      };
    case "kubernetes:ForeignFields":
      return { takenBack: "" };
    case "kubernetes:ClusterClaim":
      return {
        actions: inputs["wanted"] ?? ["Deny"],
        served: options.served ?? inputs["kinds"],
      };
    case "citadel:Environment":
      return { tenantId: inputs["enabled"] === true ? TENANT : "" };
    case "kubernetes:core/v1:Secret":
      return {
        data: { token: base64("deploy-token"), "ca.crt": base64("deploy-ca") },
        ...(!(inputs["metadata"] as { name?: string }).name && {
          metadata: { ...(inputs["metadata"] as object), name: `${name}-1a2b3c4` },
        }),
      };
    default:
      return {};
  }
}

/** The tenant of every environment with mocks. */
export const TENANT = "6f1f2a7e-3a54-4f0e-9d3a-0a2f6a1c9b11";

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function holdsSecret(value: unknown): boolean {
  if (isSecret(value)) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(holdsSecret);
}

function unwrap(value: unknown): unknown {
  if (isSecret(value)) return unwrap(value["value"]);
  if (Array.isArray(value)) return value.map(unwrap);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unwrap(inner)]));
}
