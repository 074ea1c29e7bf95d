import assert from "node:assert/strict";
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
} from "@kubernetes/client-node";
import { execa } from "execa";
import { parseDocument } from "yaml";
import { writeArchive } from "../../sandbox/images/archive.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { until } from "../../sandbox/process.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { buildServiceImage } from "../../sandbox/service-image/build.ts";
import { SERVICE_CONFIG } from "../../sandbox/service-image/layout.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import { COMMAND, NodePlatform } from "./node-projects.ts";

const IMAGE = "rdev.local/rdev-infra:local";

/** The namespace of the service, and the name of its Deployment and Service. */
const NAMESPACE = "rdev-infra-service";
const NAME = "rdev-infra";

/** In ms. A pod starts in seconds; beside other tests it takes longer. */
const START_MS = 180_000;

/** Systems that listen on 127.0.0.1 of this machine, where pods do not reach them. */
const LOCAL_SYSTEMS = ["WOODPECKER_URL", "POWERDNS_URL", "REGISTRY_URL"] as const;

interface Printed {
  readonly stdout: string;
  readonly stderr: string;
}

/** The service on a real node, installed by the platform's stack. */
export class InstalledService {
  readonly platform: NodePlatform;
  /** Its address on the node. */
  readonly url: string;
  /** An administrator's API key. */
  readonly key: string;

  private constructor(platform: NodePlatform, url: string, key: string) {
    this.platform = platform;
    this.url = url;
    this.key = key;
  }

  /**
   * Starts a sandbox, and installs the service as docs/install.md says. `recipient` is the public key of
   * its backups.
   */
  static async start(recipient: string): Promise<InstalledService> {
    const platform = await NodePlatform.start(async (sandbox, { domain }) => {
      await importImage(sandbox);
      await writeSettings(sandbox, {
        image: IMAGE,
        host: `rdev-infra.${domain}`,
        concurrency: 1,
        cpuRequest: "100m",
        memoryRequest: "256Mi",
        backup: { recipients: [recipient] },
      });
      return variables(sandbox);
    });
    const core = platform.cluster.makeApiClient(CoreV1Api);
    await core.createPersistentVolume({ body: await backupVolume(platform.sandbox) });
    const { spec } = await core.readNamespacedService({ namespace: NAMESPACE, name: NAME });
    const create = ["rdev-infra", "keys", "create", "--name", "test", "--role", "admin"];
    const { stdout } = await inPod(platform, create);
    return new InstalledService(platform, `http://${spec?.clusterIP}`, stdout.trim());
  }

  /** Runs a program in one of the pods, like `kubectl exec`. Returns what it printed. */
  inPod(command: string[]): Promise<Printed> {
    return inPod(this.platform, command);
  }

  /** Runs the command on the node, against the service in the cluster. */
  command(...args: readonly string[]) {
    const [program, ...entered] = this.platform.node.enter(process.execPath, [COMMAND, ...args]);
    return execa(program, entered, {
      env: { RDEV_INFRA_URL: this.url, RDEV_INFRA_KEY: this.key },
      all: true,
      reject: false,
    });
  }

  /** The name of the pod that works on a project's operation, as soon as there is one. */
  async podThatWorksOn(slug: string): Promise<string> {
    let name: unknown;
    await until(async () => {
      const [row] = await queryOnce(
        this.platform.env("DATABASE_URL"),
        `SELECT runner ->> 'host' AS host FROM operation_attempts
         JOIN operations ON id = operation_id WHERE slug = '${slug}'`,
      );
      assert.ok(row, "a replica has taken the operation");
      name = row["host"];
    });
    return String(name);
  }

  /** Ends a pod at once, as if its node had lost power. */
  async kill(name: string): Promise<void> {
    const core = this.platform.cluster.makeApiClient(CoreV1Api);
    await core.deleteNamespacedPod({ namespace: NAMESPACE, name, gracePeriodSeconds: 0 });
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

  /** Waits until this many replicas answer. */
  async isAvailable(replicas: number): Promise<void> {
    const apps = this.platform.cluster.makeApiClient(AppsV1Api);
    await until(
      async () => {
        const { status } = await apps.readNamespacedDeployment({
          namespace: NAMESPACE,
          name: NAME,
        });
        assert.equal(status?.availableReplicas, replicas);
      },
      undefined,
      START_MS,
    );
  }
}

async function importImage({ folder, node }: Sandbox): Promise<void> {
  const { image } = await buildServiceImage(join(folder, "service-image"), {
    report: () => undefined,
  });
  const archive = join(folder, "service-image.tar");
  await writeArchive(archive, { [IMAGE]: image });
  await node?.importImages(archive);
}

async function writeSettings({ workFolder }: Sandbox, service: object): Promise<void> {
  const file = join(workFolder, `Pulumi.${PLATFORM}.yaml`);
  const settings = parseDocument(await readFile(file, "utf8"));
  settings.setIn(["config", "rdev:service"], service);
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
  await queryOnce(server, "CREATE DATABASE rdev_states");
  const backend = new URL(server);
  backend.pathname = "/rdev_states";
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
  };
}

async function inPod({ cluster }: NodePlatform, command: string[]): Promise<Printed> {
  const { items } = await cluster.makeApiClient(CoreV1Api).listNamespacedPod({
    namespace: NAMESPACE,
    labelSelector: "app.kubernetes.io/component=service",
    fieldSelector: "status.phase=Running",
  });
  const name = items[0]?.metadata?.name ?? assert.fail("no pod runs");
  const [output, errors] = [new PassThrough(), new PassThrough()];
  const ended = () => [output, errors].forEach((each) => each.end());
  await new Exec(cluster).exec(
    ...([NAMESPACE, name, "service", command, output, errors, null, false, ended] as const),
  );
  const [stdout, stderr] = await Promise.all([text(output), text(errors)]);
  return { stdout, stderr };
}
