import type * as k8s from "@kubernetes/client-node";
import { MANAGED_BY } from "../../core/ownership.ts";
import { unless404 } from "../answers.ts";
import type { Calls } from "./calls.ts";

/** The labels and annotations of a namespace. */
interface NamespaceSettings {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A namespace on the server. */
interface LiveNamespace extends NamespaceSettings {
  readonly uid: string;
  /** It was deleted and waits until its content is gone. */
  readonly isTerminating: boolean;
  /** Why it still exists, in the server's words. */
  readonly remains: string;
}

/** The calls about namespaces. */
export class NamespaceCalls {
  readonly #calls: Calls;
  readonly #core: k8s.CoreV1Api;
  readonly #serverSideApply: Parameters<k8s.CoreV1Api["patchNamespace"]>[1];

  constructor(calls: Calls) {
    this.#calls = calls;
    const { CoreV1Api, PatchStrategy, setHeaderOptions } = calls.library;
    this.#core = new CoreV1Api(calls.configuration);
    this.#serverSideApply = setHeaderOptions("Content-Type", PatchStrategy.ServerSideApply);
  }

  /** Undefined if there is none. */
  async read(name: string): Promise<LiveNamespace | undefined> {
    const found = await unless404(
      this.#calls.call(`get namespace ${name}`, () => this.#core.readNamespace({ name })),
    );
    return found && live(found);
  }

  /** Fails if the namespace exists, so one that somebody created meanwhile is never adopted. */
  async create(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
    await this.#calls.call(
      `create namespace ${name}`,
      () =>
        this.#core.createNamespace({
          body: { metadata: { name, labels: { ...labels } } },
          fieldManager: MANAGED_BY,
        }),
      { isIdempotent: false },
    );
  }

  /**
   * Sets labels and annotations by server-side apply, which keeps those of others. The uid prevents
   * that it creates a namespace.
   */
  async apply(
    name: string,
    uid: string,
    { labels, annotations }: NamespaceSettings,
  ): Promise<LiveNamespace> {
    const metadata = { name, uid, labels: { ...labels }, annotations: { ...annotations } };
    const applied = await this.#calls.call(`apply namespace ${name}`, () =>
      this.#core.patchNamespace(
        {
          name,
          body: { apiVersion: "v1", kind: "Namespace", metadata },
          fieldManager: MANAGED_BY,
          force: true,
        },
        this.#serverSideApply,
      ),
    );
    return live(applied);
  }

  /** Starts the deletion of a namespace with its content. Succeeds if the namespace is gone. */
  async delete(name: string, uid: string): Promise<void> {
    await unless404(
      this.#calls.call(`delete namespace ${name}`, () =>
        this.#core.deleteNamespace({ name, body: { preconditions: { uid } } }),
      ),
    );
  }
}

function live({ metadata, status }: k8s.V1Namespace): LiveNamespace {
  const remains = status?.conditions
    ?.filter((condition) => condition.status === "True")
    .map((condition) => condition.message);
  return {
    uid: metadata?.uid ?? "",
    labels: metadata?.labels ?? {},
    annotations: metadata?.annotations ?? {},
    isTerminating: metadata?.deletionTimestamp !== undefined,
    remains: remains?.join(" ") ?? "",
  };
}
