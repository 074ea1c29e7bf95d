import { randomBytes } from "node:crypto";
import { changedInputs } from "../diff.ts";
import type { Engine, Provider, Resource } from "../provider.ts";
import {
  hasSecret,
  isObject,
  markSecrets,
  reveal,
  secret,
  secretTexts,
  textOf,
  type Json,
  type Properties,
} from "../values.ts";
import { sdkVersion } from "../../../automation/engine/versions.ts";
import { run } from "./run.ts";

const TYPE = "command:local:Command";
const NOT_SUPPORTED = ["archivePaths", "assetPaths"];

type Stage = "create" | "update" | "delete";

/** Replaces every secret text, and each line of a secret, because output is shown line by line. */
export function redact(text: string, secrets: readonly string[]): string {
  return secrets
    .flatMap((item) => [item, ...item.split("\n")])
    .filter((item) => item.trim() !== "")
    .sort((a, b) => b.length - a.length)
    .reduce((redacted, item) => redacted.replaceAll(item, "[secret]"), text);
}

const text = (value: Json | undefined): string | undefined =>
  typeof value === "string" ? value : undefined;

const texts = (value: Json | undefined): string[] | undefined =>
  Array.isArray(value) ? value.map(textOf) : undefined;

function environmentOf(inputs: Properties, previous: Properties): Record<string, string> {
  const { environment = null, addPreviousOutputInEnv } = inputs;
  const own = isObject(environment) ? environment : {};
  const before: Record<string, Json> =
    addPreviousOutputInEnv === false
      ? {}
      : {
          PULUMI_COMMAND_STDOUT: previous["stdout"] ?? "",
          PULUMI_COMMAND_STDERR: previous["stderr"] ?? "",
        };
  return Object.fromEntries(
    Object.entries({ ...before, ...own }).map(([name, value]) => [name, textOf(value)]),
  );
}

const isLogged = (logging: Json | undefined, stream: "stdout" | "stderr"): boolean =>
  logging === undefined || logging === null || logging === "stdoutAndStderr" || logging === stream;

export function commandProvider(engine: Engine): Provider {
  /** Runs the command of a stage. Its outputs are secret if an input is. */
  async function runStage(
    { urn }: Resource,
    stage: Stage,
    marked: Properties,
    timeout: number | undefined,
    markedPrevious: Properties = {},
  ): Promise<Properties> {
    const inputs = reveal(marked);
    const command =
      text(inputs[stage]) ?? (stage === "update" ? text(inputs["create"]) : undefined);
    const previous = reveal(markedPrevious);
    if (command === undefined) {
      const { stdout = "", stderr = "" } = markedPrevious;
      return { ...marked, stdout, stderr };
    }
    const secrets = [...secretTexts(marked), ...secretTexts(markedPrevious)];
    const finished = await run({
      command,
      interpreter: texts(inputs["interpreter"]) ?? ["/bin/sh", "-c"],
      dir: text(inputs["dir"]),
      environment: environmentOf(inputs, previous),
      stdin: text(inputs["stdin"]),
      onLine: (stream, line) => {
        if (isLogged(inputs["logging"], stream)) engine.log("info", urn, redact(line, secrets));
      },
      signal:
        timeout === undefined
          ? engine.cancelled
          : AbortSignal.any([engine.cancelled, AbortSignal.timeout(timeout * 1000)]),
    });
    if (finished.failure !== undefined) {
      const output = [finished.stdout, finished.stderr].filter((part) => part !== "").join("\n");
      throw new Error(redact(`${finished.failure}: running "${command}":\n${output}`, secrets));
    }
    const { stdout, stderr } = finished;
    const outputs = { ...inputs, stdout, stderr };
    const result = markSecrets(outputs, marked);
    return hasSecret(marked) || hasSecret(markedPrevious)
      ? { ...result, stdout: secret(stdout), stderr: secret(stderr) }
      : result;
  }

  return {
    version: sdkVersion("command"),
    previews: false,
    configure: () => undefined,
    check: ({ type, news }) => {
      if (type !== TYPE) {
        throw new Error(
          `the stand-in for the plugin command supports ${TYPE}, but not ${type}: use the official plugin`,
        );
      }
      const failures = NOT_SUPPORTED.filter((name) => (news[name] ?? null) !== null).map(
        (property) => ({
          property,
          reason:
            "is not supported by the stand-in for the plugin command: use the official plugin",
        }),
      );
      return { inputs: news, failures };
    },
    diff: ({ oldInputs, news, ignoreChanges }) => ({
      changes: changedInputs(reveal(oldInputs), reveal(news), ignoreChanges),
      replaces: ([first]) => first === "triggers",
    }),
    create: async (request) => ({
      id: `${request.name}${randomBytes(4).toString("hex")}`,
      outputs: await runStage(request, "create", request.inputs, request.timeout),
    }),
    read: ({ id, inputs, outputs }) => ({ id, inputs, outputs }),
    update: (request) =>
      runStage(request, "update", request.inputs, request.timeout, request.outputs),
    // The outputs include the inputs, so they are all that a deletion needs.
    delete: async (request) => {
      await runStage(request, "delete", request.outputs, request.timeout, request.outputs);
    },
  };
}
