import type { EVENTS } from "./http.ts";
import type { State } from "./status.ts";
import type { User } from "./users.ts";

/** A repository, with the field names of Woodpecker's answers. */
export interface Repo {
  readonly id: number;
  forge_id: number;
  forge_remote_id: string;
  org_id: number;
  owner: string;
  name: string;
  full_name: string;
  avatar_url: string;
  forge_url: string;
  clone_url: string;
  clone_url_ssh: string;
  default_branch: string;
  pr_enabled: boolean;
  /** In minutes. */
  timeout: number;
  visibility: string;
  private: boolean;
  trusted: { network: boolean; volumes: boolean; security: boolean };
  require_approval: string;
  approval_allowed_users: string[] | null;
  active: boolean;
  allow_pr: boolean;
  allow_deploy: boolean;
  config_file: string;
  cancel_previous_pipeline_events: string[] | null;
  netrc_trusted: string[] | null;
  config_extension_endpoint: string;
  config_extension_exclusive: boolean;
  config_extension_netrc: boolean;
  registry_extension_endpoint: string;
  registry_extension_netrc: boolean;
  secret_extension_endpoint: string;
  secret_extension_netrc: boolean;
}

/** A secret without its value, as in Woodpecker's answers. */
export interface Secret {
  readonly id: number;
  readonly org_id: number;
  readonly repo_id: number;
  readonly name: string;
  images: string[] | null;
  events: string[];
  note: string;
}

/** An error or a warning about the configuration of a pipeline. */
export interface PipelineError {
  readonly type: string;
  readonly message: string;
  readonly is_warning: boolean;
  readonly data: { readonly file: string; readonly field: string } | null;
}

/** A step of a workflow. Like Go's omitempty, what is empty is left out. */
export interface PipelineStep {
  readonly id: number;
  readonly uuid: string;
  readonly pipeline_id: number;
  readonly pid: number;
  /** The `pid` of its workflow. */
  readonly ppid: number;
  readonly name: string;
  state: State;
  error?: string;
  exit_code: number;
  started?: number;
  finished?: number;
  readonly type: string;
}

/** A workflow of a pipeline, with its steps. */
export interface PipelineWorkflow {
  readonly id: number;
  readonly pipeline_id: number;
  readonly pid: number;
  readonly name: string;
  state: State;
  error?: string;
  started?: number;
  finished?: number;
  agent_id?: number;
  readonly children: readonly PipelineStep[];
}

/** The user, newer pipeline or step that cancelled a pipeline. */
export type CancelInfo =
  | { readonly canceled_by_user: string }
  | { readonly superseded_by: number }
  | { readonly canceled_by_step: string };

/** A pipeline, with the field names of Woodpecker's answers. Times are in seconds since 1970. */
export interface Pipeline {
  readonly id: number;
  readonly number: number;
  readonly author: string;
  readonly parent: number;
  readonly event: (typeof EVENTS)[number];
  readonly event_reason: string[] | null;
  status: State;
  readonly errors: readonly PipelineError[] | null;
  readonly created: number;
  updated: number;
  started: number;
  finished: number;
  readonly deploy_to: string;
  readonly deploy_task: string;
  readonly commit: string;
  readonly branch: string;
  readonly rerun_count: number;
  readonly ref: string;
  readonly refspec: string;
  readonly author_avatar: string;
  readonly forge_url: string;
  readonly reviewed_by: string;
  readonly reviewed: number;
  cancel_info?: CancelInfo;
  /** Omitted in lists, and if nothing runs. */
  readonly workflows?: readonly PipelineWorkflow[];
  readonly changed_files?: readonly string[];
  readonly variables?: Record<string, string>;
  readonly version: string;
  readonly title: string;
  readonly message: string;
  readonly timestamp: number;
  readonly sender: string;
  readonly author_email: string;
}

/** A line of a step's log. */
export interface LogEntry {
  readonly id: number;
  readonly step_id: number;
  /** In seconds since the step's start. */
  readonly time: number;
  /** From 0. */
  readonly line: number;
  /** In base64, like every byte slice of Go. */
  readonly data: string;
  /** Always 0, standard output: Woodpecker's agents do not tell the two outputs apart. */
  readonly type: 0;
}

/** A repository with everything that belongs to it. */
export interface Entry {
  readonly repo: Repo;
  /** The key that signs the webhook's token, like the real server's hash. */
  readonly hash: string;
  /** By name. The values are never answered. */
  readonly secrets: Map<string, { readonly secret: Secret; value: string }>;
  /** Oldest first. */
  readonly pipelines: Pipeline[];
  /** The logs of steps, by the step's id. */
  readonly logs: Map<number, LogEntry[]>;
  /** The user that activated the repository, whose access reads its configuration; none if deactivated. */
  owner: User | undefined;
}

/** The server's data, in memory. */
export class Store {
  readonly #entries = new Map<number, Entry>();
  readonly #organizations = new Map<string, number>();
  #lastId = 0;

  /** A new id, unique in this server. */
  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  organizationId(owner: string): number {
    const id = this.#organizations.get(owner) ?? this.nextId();
    this.#organizations.set(owner, id);
    return id;
  }

  add(entry: Entry): void {
    this.#entries.set(entry.repo.id, entry);
  }

  byId(id: number): Entry | undefined {
    return this.#entries.get(id);
  }

  byFullName(fullName: string): Entry | undefined {
    const wanted = fullName.toLowerCase();
    return this.#find(({ repo }) => repo.full_name.toLowerCase() === wanted);
  }

  byForgeId(forgeRemoteId: string): Entry | undefined {
    return this.#find(({ repo }) => repo.forge_remote_id === forgeRemoteId);
  }

  /** Removes a repository with its secrets and pipelines. */
  remove(id: number): void {
    this.#entries.delete(id);
  }

  #find(test: (entry: Entry) => boolean): Entry | undefined {
    return [...this.#entries.values()].find(test);
  }
}
