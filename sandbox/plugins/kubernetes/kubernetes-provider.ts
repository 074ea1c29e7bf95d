import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Path } from "../../../core/engine-values.ts";
import { changedInputs } from "../diff.ts";
import { withAt } from "../property-path.ts";
import {
  InitializationError,
  type CheckRequest,
  type CheckResult,
  type CreateRequest,
  type DeleteRequest,
  type DiffRequest,
  type Engine,
  type Provider,
  type ReadRequest,
  type Resource,
  type UpdateRequest,
} from "../provider.ts";
import {
  hasUnknown,
  isObject,
  markSecrets,
  reveal,
  UNKNOWN,
  without,
  type Properties,
} from "../values.ts";
import { sdkVersion } from "../../../automation/engine/versions.ts";
import {
  explainConflict,
  explainExisting,
  explainMissing,
  explainRequiredField,
  isAlreadyExists,
  isNotFound,
  isToleratedInPreview,
  UnknownKindError,
  UnreachableError,
} from "./api-error.ts";
import { makeApi, type Api } from "./api.ts";
import {
  checkpoint,
  fieldManagerIn,
  importedInputs,
  inputsIn,
  liveIn,
  objectOf,
  refreshedInputs,
  sealed,
} from "./checkpoint.ts";
import { makeClient } from "./client.ts";
import { failuresOf, withNamespace } from "./inputs.ts";
import { readSettings } from "./settings.ts";
import { describe, identityOf, idOf, isPatch, metadataOf } from "./identity.ts";
import { replacesOf } from "./immutable.ts";
import { findCluster, type Cluster } from "./kubeconfig.ts";
import {
  CREATOR,
  keepIgnored,
  managedFieldsOf,
  takeOver,
  wasCreatedByPlugin,
} from "./managed-fields.ts";
import { isAutonamed, withName } from "./naming.ts";
import { readiness } from "./readiness.ts";
import { hasEndpoints, untilSettled } from "./service.ts";
import { NotReadyError, untilGone, untilReady, type WaitOptions } from "./wait.ts";

const DEFAULT_TIMEOUT_SECONDS = 600;
/** Attempts of a creation whose namespace or kind may appear at the same moment. */
const CREATE_TRIES = 5;

/** Annotations of the official plugin that control how an object is handled. */
const ANNOTATIONS = {
  skipAwait: "pulumi.com/skipAwait",
  timeout: "pulumi.com/timeoutSeconds",
  force: "pulumi.com/patchForce",
  fieldManager: "pulumi.com/patchFieldManager",
  propagation: "pulumi.com/deletionPropagationPolicy",
  replaceUnready: "pulumi.com/replaceUnready",
} as const;

const REPLACE_UNREADY: Path = ["metadata", "annotations", ANNOTATIONS.replaceUnready];

export function kubernetesProvider(engine: Engine): Provider {
  let settings = readSettings({});
  let connection: Promise<Api> | undefined;

  async function cluster(): Promise<Cluster> {
    if (settings.kubeconfig === UNKNOWN) {
      throw new UnreachableError("the kubeconfig is not known before the update");
    }
    return findCluster(settings);
  }

  /** Connects lazily, because a preview without changes needs no connection. */
  function api(): Promise<Api> {
    connection ??= cluster().then(makeClient).then(makeApi);
    return connection;
  }

  function waitOptions({ urn }: Resource, object: Properties, timeout?: number): WaitOptions {
    const annotated = Number(metadataOf(object).annotations[ANNOTATIONS.timeout]);
    return {
      timeoutSeconds: timeout ?? (annotated || DEFAULT_TIMEOUT_SECONDS),
      cancelled: engine.cancelled,
      onProgress: (message) => engine.status(urn, message),
    };
  }

  async function defaultNamespace(): Promise<string> {
    if (settings.namespace !== undefined && settings.namespace !== UNKNOWN)
      return settings.namespace;
    try {
      return (await cluster()).namespace;
    } catch {
      // The preview of a program that creates its own cluster.
      return "default";
    }
  }

  async function check(request: CheckRequest): Promise<CheckResult> {
    const { type, olds, news, name, proposedName } = request;
    const inputs = reveal(news);
    if (!isObject(inputs["metadata"] ?? {})) return { inputs: news };
    const failures = failuresOf(type, inputs);
    if (failures.length > 0) return { inputs: news, failures };
    const named = withName(inputs, reveal(olds), name, proposedName);
    const placed = await withNamespace(named, defaultNamespace);
    return { inputs: sealed(markSecrets(placed, news)) };
  }

  async function diff({ type, id, outputs, oldInputs, news, ignoreChanges }: DiffRequest) {
    const before = Object.keys(oldInputs).length > 0 ? oldInputs : inputsIn(outputs);
    const after = reveal(news);
    const isUnready = await isUnreadyJob({ type, id }, after);
    const changes = [
      ...changedInputs(reveal(before), after, ignoreChanges),
      ...(isUnready ? [{ path: REPLACE_UNREADY, kind: "update" } as const] : []),
    ];
    const replacesField = replacesOf(after, isPatch(type, after), settings);
    const replaces = (path: Path) =>
      replacesField(path) || (isUnready && isDeepStrictEqual(path, REPLACE_UNREADY));
    const live = metadataOf(liveIn(outputs));
    const next = metadataOf(after);
    const keepsName =
      !isAutonamed(after) &&
      next.name === live.name &&
      (next.namespace ?? live.namespace) === live.namespace;
    return {
      changes,
      replaces,
      deleteBeforeReplace: keepsName && changes.some(({ path }) => replaces(path)),
    };
  }

  /** A Job that has failed never becomes ready. The official plugin, too, replaces no other kind. */
  async function isUnreadyJob(
    { type, id }: Pick<DiffRequest, "type" | "id">,
    object: Properties,
  ): Promise<boolean> {
    const isWanted = metadataOf(object).annotations[ANNOTATIONS.replaceUnready] === "true";
    if (!isWanted || object["kind"] !== "Job") return false;
    try {
      const live = await (await api()).get(identityOf(type, object, id));
      return readiness(live).state !== "ready";
    } catch {
      return false; // The update itself fails with the reason.
    }
  }

  async function create(request: CreateRequest) {
    const { type, inputs, preview } = request;
    const patch = isPatch(type, reveal(inputs));
    if (preview && (patch || hasUnknown(inputs))) return { id: "", outputs: inputs };
    const object = objectOf(inputs);
    const fieldManager = fieldManagerOf(object, {});
    let live: Properties;
    try {
      live = patch
        ? await applyOnto(object, fieldManager)
        : await createWithRetries(request, object, fieldManager, preview);
    } catch (error) {
      if (preview && isToleratedInPreview(error)) {
        if (error instanceof UnreachableError) engine.log("warning", request.urn, error.message);
        return { id: "", outputs: inputs };
      }
      throw explainConflict(isAlreadyExists(error) ? explainExisting(error) : error, fieldManager);
    }
    if (preview) {
      return { id: "", outputs: checkpoint(inputs, without(live, "status"), fieldManager) };
    }
    const ready = await whenReady(request, object, live, fieldManager, "created");
    return { id: idOf(ready), outputs: checkpoint(inputs, ready, fieldManager) };
  }

  async function createWithRetries(
    { urn }: Resource,
    object: Properties,
    fieldManager: string,
    dryRun: boolean,
  ): Promise<Properties> {
    const server = await api();
    for (let attempt = 1; ; attempt++) {
      try {
        if (!settings.upsert) return await server.create(object, { fieldManager: CREATOR, dryRun });
        const force = dryRun || isForced(object);
        return await server.apply(object, { fieldManager, dryRun, force });
      } catch (error) {
        const mayAppear = isNotFound(error) || error instanceof UnknownKindError;
        if (dryRun || !mayAppear || attempt === CREATE_TRIES) throw error;
        engine.status(urn, `attempt ${attempt}: ${String((error as Error).message)}`);
        await sleep(100 * 2 ** attempt);
      }
    }
  }

  /** A Patch resource changes an existing object and never creates one. */
  async function applyOnto(object: Properties, fieldManager: string): Promise<Properties> {
    const server = await api();
    const target = await server
      .get(identityOf("", object, idOf(object)))
      .catch((error: unknown) => {
        throw isNotFound(error)
          ? new Error(`${describe(object)} does not exist, so that it cannot be patched`)
          : error;
      });
    return server.apply(withAt(object, ["metadata", "uid"], metadataOf(target).uid), {
      fieldManager,
      dryRun: false,
      force: isForced(object),
    });
  }

  const isForced = (object: Properties): boolean =>
    settings.patchForce || metadataOf(object).annotations[ANNOTATIONS.force] === "true";

  async function whenReady(
    request: CreateRequest,
    object: Properties,
    live: Properties,
    fieldManager: string,
    done: "created" | "updated",
  ): Promise<Properties> {
    if (metadataOf(object).annotations[ANNOTATIONS.skipAwait] === "true") return live;
    const identity = identityOf(request.type, live, idOf(live));
    try {
      const options = waitOptions(request, object, request.timeout);
      const server = await api();
      return hasEndpoints(live)
        ? await untilSettled(server, live, identity, options)
        : await untilReady(server, live, identity, options);
    } catch (error) {
      // The object exists whatever ended the wait, so the state must keep it.
      const seen = error instanceof NotReadyError ? error.live : live;
      throw new InitializationError(
        `${describe(seen)} was ${done}, but did not become ready: ${String((error as Error).message)}`,
        idOf(seen),
        checkpoint(request.inputs, seen, fieldManager),
      );
    }
  }

  async function update(request: UpdateRequest): Promise<Properties> {
    const { type, id, inputs, outputs, preview, ignoreChanges } = request;
    if (preview && hasUnknown(inputs)) return inputs;
    const object = objectOf(inputs);
    const fieldManager = fieldManagerOf(object, outputs);
    try {
      const server = await api();
      const identity = identityOf(type, object, id);
      let live = await server.get(identity);
      const patch = isPatch(type, object);
      const taken = patch ? undefined : takeOver(live, fieldManager);
      if (taken !== undefined && !preview) live = await server.setManagedFields(live, taken);
      const force =
        isForced(object) ||
        managedFieldsOf(live).length === 0 ||
        (preview && wasCreatedByPlugin(live));
      const applied = await server.apply(keepIgnored(object, live, ignoreChanges, fieldManager), {
        fieldManager,
        dryRun: preview,
        force,
      });
      if (preview) return checkpoint(inputs, applied, fieldManager);
      const ready = await whenReady(request, object, applied, fieldManager, "updated");
      const before = fieldManagerIn(outputs);
      if (before !== undefined && before !== fieldManager)
        await releaseFields(server, ready, before);
      return checkpoint(inputs, ready, fieldManager);
    } catch (error) {
      if (preview && isToleratedInPreview(error) && !isNotFound(error)) return inputs;
      throw explainConflict(isNotFound(error) ? explainMissing(error) : error, fieldManager);
    }
  }

  /** Applies only the object's identity, which removes the fields that the manager alone had set. */
  async function releaseFields(
    server: Api,
    object: Properties,
    fieldManager: string,
  ): Promise<void> {
    const { name, namespace, uid } = metadataOf(object);
    const metadata = { name, uid, ...(namespace !== undefined && { namespace }) } as Properties;
    const { apiVersion = "", kind = "" } = object;
    await server.apply(
      { apiVersion, kind, metadata },
      { fieldManager, dryRun: false, force: false },
    );
  }

  async function read({ type, id, inputs, outputs }: ReadRequest) {
    const server = await api();
    const before = liveIn(outputs);
    const known = Object.keys(inputs).length > 0;
    let live: Properties;
    try {
      live = await server.get(identityOf(type, known ? reveal(inputs) : before, id));
    } catch (error) {
      if (isNotFound(error) || error instanceof UnknownKindError) return undefined;
      throw error;
    }
    const refreshed = known ? refreshedInputs(inputs, before, live) : importedInputs(live);
    const fieldManager = fieldManagerOf(reveal(refreshed), outputs);
    return { id, inputs: refreshed, outputs: checkpoint(refreshed, live, fieldManager) };
  }

  async function remove(request: DeleteRequest): Promise<void> {
    const { type, id, outputs } = request;
    const object = liveIn(outputs);
    const inputs = reveal(inputsIn(outputs));
    const server = await api();
    const identity = identityOf(type, object, id);
    try {
      const live = await server.get(identity);
      if (isPatch(type, object)) {
        await releaseFields(server, live, fieldManagerOf(inputs, outputs));
        return;
      }
      const policy = metadataOf(inputs).annotations[ANNOTATIONS.propagation] ?? "foreground";
      await server.delete(identity, policy.charAt(0).toUpperCase() + policy.slice(1).toLowerCase());
      if (metadataOf(inputs).annotations[ANNOTATIONS.skipAwait] === "true") return;
      const options = waitOptions(request, inputs, request.timeout);
      await untilGone(server, identity, metadataOf(live).uid, options);
    } catch (error) {
      if (isNotFound(error) || error instanceof UnknownKindError) return;
      throw explainRequiredField(error);
    }
  }

  return {
    version: sdkVersion("kubernetes"),
    previews: true,
    configure: (config) => {
      settings = readSettings(config);
      connection = undefined;
    },
    check,
    diff,
    create,
    read,
    update,
    delete: remove,
  };
}

/** Each resource has its own manager, so that two Patch resources do not undo each other. */
function fieldManagerOf(object: Properties, outputs: Properties): string {
  return (
    metadataOf(object).annotations[ANNOTATIONS.fieldManager] ??
    fieldManagerIn(outputs) ??
    `${CREATOR}-${randomBytes(4).toString("hex")}`
  );
}
