import type { ConnectionName } from "../core/connections.ts";
import type { Owner } from "../core/ownership.ts";
import type { PlatformSettings, PolicyActions } from "../core/settings.ts";

/** What a check found. */
export interface Finding {
  readonly status: "ok" | "warning" | "failed" | "skipped";
  readonly found: string;
  /** What a person has to do. Absent if there is nothing to do, or if `found` says it. */
  readonly todo?: string;
}

/** The names in the cluster that a platform claims. */
export interface ClusterNames {
  /** The platform's own namespace, if it collects logs. */
  readonly namespace?: string;
  /** That of the service in the cluster. */
  readonly namespaces?: readonly string[];
  readonly policies: readonly string[];
  readonly clusterRoles?: readonly string[];
  /** Kinds that the cluster may lack. */
  readonly kinds?: readonly string[];
  /** The policy whose binding shows the actions in force. */
  readonly leading?: string;
  /** The actions in the platform's settings. */
  readonly wanted?: PolicyActions | undefined;
}

/** What the checks know of the platform. */
export interface Examined {
  /** The platform's name, if the caller named one. */
  readonly platform?: string;
  /** Undefined if no platform is named, or if its settings cannot be read. */
  readonly settings?: PlatformSettings;
  /** Undefined like the settings. */
  readonly claim?: ClusterNames & { readonly platform: string; readonly owner: Owner };
}

/** One question to one system. It changes nothing there. */
export interface Check {
  /** For a person: `Kubernetes`. */
  readonly system: string;
  /** In a few words: `version`. */
  readonly name: string;
  /** The connections without which the check cannot run. */
  readonly needs: readonly ConnectionName[];
  /** May throw an InfraError: then the check has failed. */
  readonly run: (examined: Examined) => Promise<Finding>;
}

export function ok(found: string): Finding {
  return { status: "ok", found };
}

export function warning(found: string, todo: string): Finding {
  return { status: "warning", found, todo };
}

export function failed(found: string, todo: string): Finding {
  return { status: "failed", found, todo };
}

export function skipped(found: string): Finding {
  return { status: "skipped", found };
}

/** A check that asks for something in the platform's settings. Without them it is skipped. */
export function withSettings(
  run: (settings: PlatformSettings, examined: Examined) => Promise<Finding>,
): Check["run"] {
  return async (examined) =>
    examined.settings ? run(examined.settings, examined) : skipped("needs the platform's settings");
}

/** Warns from this difference between two clocks on, in ms. HTTP tells whole seconds. */
const CLOCK_WARNING = 5_000;
/** Fails from here on, in ms: tokens for the registry are refused by then. */
const CLOCK_FAILURE = 60_000;

/** Compares a server's clock with ours. `asked` is the time at which the question was sent, in ms. */
export function clock(server: Date | undefined, asked: number): Finding {
  if (!server || Number.isNaN(server.getTime()))
    return skipped("the server does not tell its time");
  // The server read its clock somewhere between question and answer.
  const early = asked - server.getTime();
  const late = server.getTime() - Date.now();
  const off = Math.max(early, late, 0);
  const text = `${(off / 1000).toFixed(0)} s ${early > late ? "behind" : "ahead of"} ours`;
  const todo = "Synchronize both clocks (NTP): tokens and certificates are refused otherwise.";
  if (off >= CLOCK_FAILURE) return failed(text, todo);
  return off >= CLOCK_WARNING ? warning(text, todo) : ok("as ours");
}
