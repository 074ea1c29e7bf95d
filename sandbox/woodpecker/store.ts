import type { User } from "./users.ts";

/** A repository, by the field names of Woodpecker's own answers. */
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
  /** Minutes. */
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

/** A secret as answered: never with its value. */
export interface Secret {
  readonly id: number;
  readonly org_id: number;
  readonly repo_id: number;
  readonly name: string;
  images: string[] | null;
  events: string[];
  note: string;
}

/** Why a pipeline does not run, or what could be better in its configuration. */
export interface PipelineError {
  readonly type: string;
  readonly message: string;
  readonly is_warning: boolean;
  readonly data: { readonly file: string; readonly field: string } | null;
}

/** A workflow of a pipeline, with its steps. */
export interface PipelineWorkflow {
  readonly id: number;
  readonly pipeline_id: number;
  readonly pid: number;
  readonly name: string;
  readonly state: string;
  readonly children: readonly object[];
}

/** A pipeline, by the field names of Woodpecker's own answers. Times are seconds since 1970. */
export interface Pipeline {
  readonly id: number;
  readonly number: number;
  readonly author: string;
  readonly parent: number;
  readonly event: string;
  readonly event_reason: string[] | null;
  readonly status: string;
  readonly errors: readonly PipelineError[] | null;
  readonly created: number;
  readonly updated: number;
  readonly started: number;
  readonly finished: number;
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
  /** Left out of lists, and where nothing runs. */
  readonly workflows?: readonly PipelineWorkflow[];
  readonly variables?: Record<string, string>;
  readonly version: string;
  readonly title: string;
  readonly message: string;
  readonly timestamp: number;
  readonly sender: string;
  readonly author_email: string;
}

/** One repository and all that hangs on it. */
export interface Entry {
  readonly repo: Repo;
  /** Signs the webhook, as the real server's hash does. */
  readonly hash: string;
  /** By name. The values stay here. */
  readonly secrets: Map<string, { readonly secret: Secret; value: string }>;
  /** Oldest first. */
  readonly pipelines: Pipeline[];
  /** The user that activated it, and as whom its configuration is read; none while it is deactivated. */
  owner: User | undefined;
}

/** What the server knows, in memory. */
export class Store {
  readonly #entries = new Map<number, Entry>();
  readonly #organizations = new Map<string, number>();
  #lastId = 0;

  /** An id that nothing else here has. */
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

  /** With its secrets and pipelines. */
  remove(id: number): void {
    this.#entries.delete(id);
  }

  #find(test: (entry: Entry) => boolean): Entry | undefined {
    return [...this.#entries.values()].find(test);
  }
}
