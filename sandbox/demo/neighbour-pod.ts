import { join } from "node:path";
import { CoreV1Api, type V1Container } from "@kubernetes/client-node";
import { citadelLabels } from "../../core/labels.ts";
import { databaseName } from "../../core/slug.ts";
import type { SandboxNode } from "../cluster.ts";
import { writeArchive } from "../images/archive.ts";
import { Blobs } from "../images/blobs.ts";
import { packPrograms } from "../images/programs.ts";
import { until } from "../process.ts";
import { applicationEnvironment, type DeployedProject, kubeConfig } from "../proofs/project.ts";
import { type Evidence, expect } from "../proofs/proofs.ts";
import type { Sandbox } from "../sandbox.ts";
import { deployedImage } from "./deployed-pods.ts";

const CLIENT_IMAGE = "rdev.local/redis-cli:1";
/** The pod that uses the project's servers with the neighbour's accounts. */
const INTRUDER = "intruder";
/** The pod that would run the project's image. */
const COPY = "copy";

/**
 * Runs pods in the neighbour's namespace, with the neighbour's accounts. They must get neither the
 * project's database nor its cache nor its image.
 */
export async function proveSeparation(
  project: DeployedProject,
  neighbour: DeployedProject,
  { node, folder }: { readonly node: SandboxNode; readonly folder: Sandbox["folder"] },
): Promise<Evidence> {
  const { slug: namespace } = neighbour;
  const core = kubeConfig(neighbour).makeApiClient(CoreV1Api);
  await importClient(node, folder);
  const { DATABASE_URL = "", REDIS_URL = "" } = await applicationEnvironment(neighbour);
  const database = Object.assign(new URL(DATABASE_URL), { pathname: databaseName(project.slug) });
  const { hostname, port, username, password } = new URL(REDIS_URL);
  await core.createNamespacedSecret({
    namespace,
    body: {
      metadata: { name: INTRUDER },
      stringData: { DATABASE_URL: database.href, REDISCLI_AUTH: password },
    },
  });
  const withSecret = { envFrom: [{ secretRef: { name: INTRUDER } }] };
  const key = `${project.slug}:slow`;
  const address = ["-h", hostname, "-p", port, "--user", username];
  const own = await deployedImage(neighbour);
  await createPod(core, neighbour, INTRUDER, [
    { name: "database", image: own, ...withSecret },
    { name: "cache", image: CLIENT_IMAGE, args: [...address, "GET", key], ...withSecret },
  ]);
  await createPod(core, neighbour, COPY, [{ name: "copy", image: await deployedImage(project) }]);

  const logOf = async (container: string, refusal: RegExp): Promise<string> => {
    let found: string | undefined;
    await until(async () => {
      const log = await core.readNamespacedPodLog({ namespace, name: INTRUDER, container });
      found = refusal.exec(log)?.[0];
      expect(found !== undefined, `the ${container} refuses the neighbour: ${log}`);
    });
    return found ?? "";
  };
  const pullOf = async (name: string): Promise<string> => {
    let found = "";
    await until(async () => {
      const { status } = await core.readNamespacedPod({ namespace, name });
      const { reason, message = "" } = status?.containerStatuses?.[0]?.state?.waiting ?? {};
      const [refusal] = /insufficient_scope: [^":\n]*|40[13] \w+/.exec(message) ?? [];
      expect(refusal, `the registry refuses the image: ${reason}: ${message}`);
      found = `${reason}, ${refusal}`;
    });
    return found;
  };
  const evidence = [
    `database ${databaseName(project.slug)}: ${await logOf("database", /permission denied for database/)}`,
    `cache ${key}: ${await logOf("cache", /NOPERM [^\n]*/)}`,
    `image ${project.slug}: ${await pullOf(COPY)}`,
  ];
  for (const name of [INTRUDER, COPY]) {
    await core.deleteNamespacedPod({ namespace, name, gracePeriodSeconds: 0 });
  }
  return evidence;
}

/** Packs the machine's redis-cli, with which the neighbour's pod asks for the project's key. */
async function importClient(node: SandboxNode, folder: string): Promise<void> {
  const blobs = new Blobs(join(folder, "neighbour"));
  const image = await packPrograms(blobs, ["redis-cli"], { entrypoint: ["/bin/redis-cli"] });
  const archive = join(folder, "neighbour.tar");
  await writeArchive(archive, { [CLIENT_IMAGE]: image });
  await node.importImages(archive);
}

/** Creates a pod with the account of the neighbour's Deployment, which may pull only its own images. */
async function createPod(
  core: CoreV1Api,
  { slug, tenantId }: DeployedProject,
  name: string,
  containers: readonly V1Container[],
): Promise<void> {
  await core.createNamespacedPod({
    namespace: slug,
    body: {
      // The namespace admits only pods with its own environment.
      metadata: { name, labels: citadelLabels(name, tenantId) },
      spec: {
        serviceAccountName: slug,
        automountServiceAccountToken: false,
        restartPolicy: "Never",
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 65_532,
          seccompProfile: { type: "RuntimeDefault" },
        },
        containers: containers.map((container) => ({
          ...container,
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
        })),
      },
    },
  });
}
