import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chown, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import {
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  Exec,
  type V1Job,
  type V1PersistentVolume,
  type V1Pod,
} from "@kubernetes/client-node";
import { parseDocument } from "yaml";
import { POD_RANGE } from "../../sandbox/node/box.ts";
import { giteaUrl } from "../../sandbox/node/ingress.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { until } from "../../sandbox/process.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { SERVICE_CONFIG } from "../../sandbox/service-image/layout.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import { type GiteaProvider, giteaProvider } from "./gitea-provider.ts";
import { NodePlatform } from "./node-projects.ts";
import { pushServiceImages, type ServiceImages } from "./service-images.ts";

/** The namespace of the service, and the name of its Deployment and Service. */
const NAMESPACE = "rdev-infra-service";
const NAME = "rdev-infra";

/** In ms. A pod starts in seconds; beside other tests it takes longer. */
const START_MS = 180_000;

/** Systems that listen on 127.0.0.1 of this machine, where pods do not reach them. */
const LOCAL_SYSTEMS = ["WOODPECKER_URL", "POWERDNS_URL", "REGISTRY_URL"] as const;

/** The Secret with the ingress' certificate, as in the setting `tls`. */
const TLS_SECRET = "wildcard";

/** The database of the stacks' states. */
const STATES = "rdev_states";

interface Printed {
  readonly stdout: string;
  readonly stderr: string;
}

interface Prepared {
  readonly images: ServiceImages;
  /** The provider through which people sign in. */
  readonly gitea: GiteaProvider;
}

/** The service on a real node behind its ingress, installed by the platform's stack. */
export class InstalledService {
  readonly platform: NodePlatform;
  /** Its address behind the ingress. */
  readonly origin: string;
  readonly images: ServiceImages;
  readonly gitea: GiteaProvider;

  private constructor(platform: NodePlatform, { images, gitea }: Prepared) {
    this.platform = platform;
    this.origin = originOf(platform.settings);
    this.images = images;
    this.gitea = gitea;
  }

  /**
   * Starts a sandbox, and installs the service as docs/install.md says. `recipient` is the public key of
   * its backups.
   */
  static async start(recipient: string): Promise<InstalledService> {
    let prepared: Prepared | undefined;
    const platform = await NodePlatform.start(
      async (sandbox, settings) => {
        const origin = originOf(settings);
        const { GITEA_URL: url = "", GITEA_TOKEN: token = "" } = sandbox.env;
        const gitea = await giteaProvider(`${origin}/auth/callback`, { url, token });
        prepared = { images: await pushServiceImages(sandbox, settings.registry), gitea };
        const { address, tls } = ingressOf(sandbox);
        await changeSettings(sandbox, {
          ingressAddress: address,
          tls: { secret: TLS_SECRET },
          service: {
            image: prepared.images.current,
            host: new URL(origin).host,
            concurrency: 1,
            cpuRequest: "100m",
            memoryRequest: "256Mi",
            trustedProxies: [POD_RANGE],
            certificateAuthorities: tls.authority,
            backup: { recipients: [recipient] },
            identity: {
              people: {
                issuer: giteaUrl(settings.domain),
                clientId: gitea.clientId,
                roles: [{ group: gitea.group, role: "operator" }],
                signIn: { publicUrl: origin },
              },
            },
          },
        });
        return { ...(await variables(sandbox)), RDEV_INFRA_CLIENT_SECRET: gitea.clientSecret };
      },
      { ingress: true },
    );
    const service = new InstalledService(platform, prepared ?? assert.fail());
    await service.giveCertificate();
    await service.#core.createPersistentVolume({ body: await backupVolume(platform.sandbox) });
    return service;
  }

  get #core(): CoreV1Api {
    return this.platform.cluster.makeApiClient(CoreV1Api);
  }

  get ingress() {
    return ingressOf(this.platform.sandbox);
  }

  /** Copies the certificate to the service's namespace, which the platform's stack makes. */
  async giveCertificate(): Promise<void> {
    const { certificate, key } = this.ingress.tls;
    await this.#core.createNamespacedSecret({
      namespace: NAMESPACE,
      body: {
        metadata: { name: TLS_SECRET },
        type: "kubernetes.io/tls",
        stringData: { "tls.crt": certificate, "tls.key": key },
      },
    });
  }

  /** Changes the image in the settings, and brings the platform up. */
  async upgrade(): Promise<void> {
    await changeSettings(this.platform.sandbox, { "service.image": this.images.next });
    await this.platform.run("up", PLATFORM);
  }

  /** The address of its Service, which pods use. */
  async clusterUrl(): Promise<string> {
    const where = { namespace: NAMESPACE, name: NAME };
    const { spec } = await this.#core.readNamespacedService(where);
    return `http://${spec?.clusterIP}`;
  }

  /** Its pods that run. */
  async pods(): Promise<V1Pod[]> {
    const { items } = await this.#core.listNamespacedPod({
      namespace: NAMESPACE,
      labelSelector: "app.kubernetes.io/component=service",
      fieldSelector: "status.phase=Running",
    });
    return items;
  }

  /** Runs a program in one of the pods, like `kubectl exec`. Returns what it printed. */
  async inPod(command: string[]): Promise<Printed> {
    const [pod] = await this.pods();
    const name = pod?.metadata?.name ?? assert.fail("no pod runs");
    const [output, errors] = [new PassThrough(), new PassThrough()];
    const ended = () => [output, errors].forEach((each) => each.end());
    await new Exec(this.platform.cluster).exec(
      ...([NAMESPACE, name, "service", command, output, errors, null, false, ended] as const),
    );
    const [stdout, stderr] = await Promise.all([text(output), text(errors)]);
    return { stdout, stderr };
  }

  /** The name of the pod that works on a project's operation, as soon as there is one. */
  async podThatWorksOn(slug: string): Promise<string> {
    let name: unknown;
    await until(async () => {
      const [row] = await this.query(
        `SELECT runner ->> 'host' AS host FROM operation_attempts
         JOIN operations ON id = operation_id WHERE slug = '${slug}'`,
      );
      assert.ok(row, "a replica has taken the operation");
      name = row["host"];
    });
    return String(name);
  }

  /** Reads the service's database. */
  query(statement: string) {
    return queryOnce(this.platform.env("DATABASE_URL"), statement);
  }

  /** Ends a pod at once, as if its node had lost power. */
  async kill(name: string): Promise<void> {
    await this.#core.deleteNamespacedPod({ namespace: NAMESPACE, name, gracePeriodSeconds: 0 });
  }

  async jobs(): Promise<V1Job[]> {
    const batch = this.platform.cluster.makeApiClient(BatchV1Api);
    return (await batch.listNamespacedJob({ namespace: NAMESPACE })).items;
  }

  /** Makes a backup now, as the CronJob does at its time. Returns the files in its volume. */
  async backUp(): Promise<string[]> {
    const batch = this.platform.cluster.makeApiClient(BatchV1Api);
    const where = { namespace: NAMESPACE, name: `${NAME}-backup` };
    const { spec } = await batch.readNamespacedCronJob(where);
    const name = "backup-now";
    await batch.createNamespacedJob({
      namespace: NAMESPACE,
      body: { ...spec?.jobTemplate, metadata: { name } },
    });
    await until(
      async () => {
        const { status } = await batch.readNamespacedJob({ namespace: NAMESPACE, name });
        assert.equal(status?.succeeded, 1, JSON.stringify(status));
      },
      undefined,
      START_MS,
    );
    const folder = backupFolder(this.platform.sandbox);
    return (await readdir(folder)).map((file) => join(folder, file));
  }

  /** Deletes the service, its database and all states. Leaves empty databases. */
  async destroyAll(): Promise<void> {
    await this.#core.deleteNamespace({ name: NAMESPACE });
    await until(
      async () => {
        const { items } = await this.#core.listNamespace({
          fieldSelector: `metadata.name=${NAMESPACE}`,
        });
        assert.equal(items.length, 0);
      },
      undefined,
      START_MS,
    );
    const { pathname, username } = new URL(this.platform.env("DATABASE_OWNER_URL"));
    const owners = { [pathname.slice(1)]: username, [STATES]: "DEFAULT" };
    for (const [database, owner] of Object.entries(owners)) {
      const server = this.platform.env("POSTGRES_ADMIN_URL");
      await queryOnce(server, `DROP DATABASE ${database} WITH (FORCE)`);
      await queryOnce(server, `CREATE DATABASE ${database} OWNER ${owner}`);
    }
  }

  /** Waits until this many replicas answer, and no other one is left. */
  async isAvailable(replicas: number): Promise<void> {
    const apps = this.platform.cluster.makeApiClient(AppsV1Api);
    await until(
      async () => {
        const where = { namespace: NAMESPACE, name: NAME };
        const { status } = await apps.readNamespacedDeployment(where);
        assert.equal(status?.availableReplicas, replicas);
        assert.equal((await this.pods()).length, replicas);
      },
      undefined,
      START_MS,
    );
  }
}

function originOf({ domain }: { readonly domain: string }): string {
  return `https://rdev-infra.${domain}`;
}

function ingressOf({ ingress }: Sandbox) {
  return ingress ?? assert.fail("there is no ingress");
}

/** Changes settings in the platform's file. A name with a dot is a field: `service.image`. */
async function changeSettings({ workFolder }: Sandbox, changes: object): Promise<void> {
  const file = join(workFolder, `Pulumi.${PLATFORM}.yaml`);
  const settings = parseDocument(await readFile(file, "utf8"));
  for (const [name, value] of Object.entries(changes)) {
    const [first, ...fields] = name.split(".");
    settings.setIn(["config", `rdev:${first}`, ...fields], value);
  }
  await writeFile(file, settings.toString());
}

/** A volume in a folder of this machine, because the node makes none by itself. */
async function backupVolume(sandbox: Sandbox): Promise<V1PersistentVolume> {
  const path = backupFolder(sandbox);
  await mkdir(path);
  const [uid = 0, gid = 0] = SERVICE_CONFIG.user.split(":").map(Number);
  await chown(path, uid, gid);
  return {
    metadata: { name: "backups" },
    spec: {
      accessModes: ["ReadWriteOnce"],
      capacity: { storage: "10Gi" },
      hostPath: { path },
      persistentVolumeReclaimPolicy: "Retain",
    },
  };
}

function backupFolder({ folder }: Sandbox): string {
  return join(folder, "backups");
}

/** What docs/install.md sets: a backend that the replicas share, and the addresses that pods use. */
async function variables({ env, node }: Sandbox): Promise<Record<string, string | undefined>> {
  const server = env["POSTGRES_ADMIN_URL"] ?? "";
  await queryOnce(server, `CREATE DATABASE ${STATES}`);
  const backend = new URL(server);
  backend.pathname = `/${STATES}`;
  backend.search = "sslmode=disable";
  const forPods = (name: string) => node?.forPods(env[name] ?? "");
  const others = await Promise.all(
    LOCAL_SYSTEMS.map(async (name) => [`RDEV_INFRA_SERVICE_${name}`, await forPods(name)] as const),
  );
  return {
    ...Object.fromEntries(others),
    // One address for all, because projects' outputs contain it.
    GITEA_URL: await forPods("GITEA_URL"),
    PULUMI_BACKEND_URL: backend.href,
    REGISTRY_TOKEN_KEY: await readFile(env["REGISTRY_TOKEN_KEY_FILE"] ?? "", "utf8"),
    REGISTRY_TOKEN_KEY_FILE: undefined,
    RDEV_INFRA_PULL_USERNAME: env["REGISTRY_USERNAME"],
    RDEV_INFRA_PULL_PASSWORD: env["REGISTRY_PASSWORD"],
    RDEV_INFRA_SESSION_KEY: randomBytes(32).toString("base64url"),
  };
}
