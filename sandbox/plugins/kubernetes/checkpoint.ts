/** The state of an object: its live form, the inputs of its last update, and its field manager. */
import {
  isObject,
  markSecrets,
  reveal,
  same,
  secret,
  textOf,
  without,
  type Json,
  type Properties,
} from "../values.ts";

/** The official plugin's names, so that each plugin can continue with the other's state. */
const INPUTS = "__inputs";
const FIELD_MANAGER = "__fieldManager";
const INITIAL_API_VERSION = "__initialApiVersion";

/** Metadata that only the server sets. */
const SERVER_METADATA = [
  "creationTimestamp",
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "generation",
  "managedFields",
  "resourceVersion",
  "selfLink",
  "uid",
];

/** The outputs of a resource. A value is secret if its input is, or if it is data of a Secret. */
export function checkpoint(inputs: Properties, live: Properties, fieldManager: string): Properties {
  const { metadata = null } = live;
  const kept = isObject(metadata) ? without(metadata, "managedFields") : metadata;
  const outputs = markSecrets({ ...live, metadata: kept }, inputs);
  return {
    ...sealed(outputs),
    [INPUTS]: sealed(inputs),
    [INITIAL_API_VERSION]: live["apiVersion"] ?? "",
    [FIELD_MANAGER]: fieldManager,
  };
}

/** Marks the data of a Secret as secret, even if the program did not. */
export function sealed(object: Properties): Properties {
  if (object["kind"] !== "Secret" || object["apiVersion"] !== "v1") return object;
  const { data = null, stringData = null } = object;
  return {
    ...object,
    ...(data !== null && { data: secret(data) }),
    ...(stringData !== null && { stringData: secret(stringData) }),
  };
}

export function fieldManagerIn(outputs: Properties): string | undefined {
  const manager = outputs[FIELD_MANAGER];
  return typeof manager === "string" ? manager : undefined;
}

/** The inputs in the state, for requests in which the engine does not send them. */
export function inputsIn(outputs: Properties): Properties {
  const inputs = outputs[INPUTS];
  return isObject(inputs) ? inputs : {};
}

/** The live object in the state, in plain text. */
export function liveIn(outputs: Properties): Properties {
  return reveal(without(outputs, INPUTS, INITIAL_API_VERSION, FIELD_MANAGER));
}

/** The object to send: the inputs in plain text, without nulls and server-set metadata. */
export function objectOf(inputs: Properties): Properties {
  return withoutServerFields(withoutNulls(reveal(inputs)) as Properties);
}

function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== null)
      .map(([key, item]) => [key, withoutNulls(item)]),
  );
}

function withoutServerFields(object: Properties): Properties {
  const { metadata } = object;
  if (!isObject(metadata)) return object;
  return { ...object, metadata: without(metadata, ...SERVER_METADATA) };
}

/** The inputs of an imported object: everything that the server did not set by itself. */
export function importedInputs(live: Properties): Properties {
  return sealed(withoutServerFields(without(live, "status")));
}

/**
 * The inputs after a refresh. A value that changed on the live object since the state was written
 * takes the live value. Any other value stays as the program wrote it, because the server may write
 * the same value differently ("0.5" CPU as "500m").
 */
export function refreshedInputs(
  inputs: Properties,
  before: Properties,
  live: Properties,
): Properties {
  const plain = reveal(inputs);
  const updated = followChanges(plain, withStringData(before, plain), withStringData(live, plain));
  return markSecrets(isObject(updated) ? updated : {}, inputs);
}

/** Kubernetes stores stringData as data, so the decoded texts are compared. */
function withStringData(live: Properties, inputs: Properties): Properties {
  const { data } = live;
  if (!isObject(inputs["stringData"]) || !isObject(data)) return live;
  const stringData = Object.keys(inputs["stringData"])
    .filter((key) => typeof data[key] === "string")
    .map((key) => [key, Buffer.from(textOf(data[key]), "base64").toString()]);
  return { ...live, stringData: Object.fromEntries(stringData) as Properties };
}

function followChanges(
  input: Json,
  before: Json | undefined,
  live: Json | undefined,
): Json | undefined {
  if (same(before, live)) return input;
  if (live === undefined) return undefined;
  if (isObject(input) && isObject(live)) {
    const old = isObject(before) ? before : {};
    const entries = Object.entries(input).map(([key, item]) => [
      key,
      followChanges(item, old[key], live[key]),
    ]);
    return Object.fromEntries(entries.filter(([, item]) => item !== undefined)) as Properties;
  }
  if (Array.isArray(input) && Array.isArray(live)) {
    const old = Array.isArray(before) ? before : [];
    // Like the official plugin, ignores items beyond the program's own (provider/util.go, pruneSlice).
    return live
      .slice(0, input.length)
      .map((item, index) => followChanges(input[index] ?? item, old[index], item) ?? item);
  }
  return live;
}
