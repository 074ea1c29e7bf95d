/** What the state holds of an object: the live one, the inputs it came from, and its field manager. */
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

/** Names in the state, the official plugin's own, so that either can go on with the other's state. */
const INPUTS = "__inputs";
const FIELD_MANAGER = "__fieldManager";
const INITIAL_API_VERSION = "__initialApiVersion";

/** Set by the server; never an input. */
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

/** The outputs of a resource: secret where the inputs are, and wherever a Secret's data are. */
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

/** A kind Secret with its data marked secret, however the program gave them. */
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

/** The inputs that an earlier version of the state holds, where the engine does not send them. */
export function inputsIn(outputs: Properties): Properties {
  const inputs = outputs[INPUTS];
  return isObject(inputs) ? inputs : {};
}

/** The live object of a state, in plain text. */
export function liveIn(outputs: Properties): Properties {
  return reveal(without(outputs, INPUTS, INITIAL_API_VERSION, FIELD_MANAGER));
}

/** The object to send: inputs in plain text, without what the program left null. */
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

/** The inputs of an object that is imported: all that the server did not set by itself. */
export function importedInputs(live: Properties): Properties {
  return sealed(withoutServerFields(without(live, "status")));
}

/**
 * The inputs after a refresh: where the live object changed since the state was written, they follow
 * it; elsewhere they stay as the program wrote them, although the server may write the same
 * differently ("0.5" CPU as "500m").
 */
export function refreshedInputs(
  inputs: Properties,
  before: Properties,
  live: Properties,
): Properties {
  const plain = reveal(inputs);
  const follow = followed(plain, withStringData(before, plain), withStringData(live, plain));
  return markSecrets(isObject(follow) ? follow : {}, inputs);
}

/** Kubernetes stores stringData as data; compared are the texts. */
function withStringData(live: Properties, inputs: Properties): Properties {
  const { data } = live;
  if (!isObject(inputs["stringData"]) || !isObject(data)) return live;
  const stringData = Object.keys(inputs["stringData"])
    .filter((key) => typeof data[key] === "string")
    .map((key) => [key, Buffer.from(textOf(data[key]), "base64").toString()]);
  return { ...live, stringData: Object.fromEntries(stringData) as Properties };
}

function followed(input: Json, before: Json | undefined, live: Json | undefined): Json | undefined {
  if (same(before, live)) return input;
  if (live === undefined) return undefined;
  if (isObject(input) && isObject(live)) {
    const old = isObject(before) ? before : {};
    const entries = Object.entries(input).map(([key, item]) => [
      key,
      followed(item, old[key], live[key]),
    ]);
    return Object.fromEntries(entries.filter(([, item]) => item !== undefined)) as Properties;
  }
  if (Array.isArray(input) && Array.isArray(live)) {
    const old = Array.isArray(before) ? before : [];
    // The official plugin does not see items beyond the program's own (provider/util.go, pruneSlice).
    return live
      .slice(0, input.length)
      .map((item, index) => followed(input[index] ?? item, old[index], item) ?? item);
  }
  return live;
}
