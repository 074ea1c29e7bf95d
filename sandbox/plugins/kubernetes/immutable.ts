/**
 * The immutable fields of each kind: a change of one replaces the object. The table is the official
 * plugin's (pulumi-kubernetes, provider/pkg/provider/diff.go).
 */
import { parsePath, type Path } from "../../../core/engine-values.ts";
import { startsWith } from "../property-path.ts";
import { textOf, type Properties } from "../values.ts";

export interface Mutability {
  /** If false, a change of a ConfigMap's data replaces it. */
  readonly configMapMutable: boolean;
  /** If false, a change of a Secret's data replaces it. */
  readonly secretMutable: boolean;
}

const IDENTITY = ["metadata.name", "metadata.namespace"];

const VOLUME_SOURCES = [
  "awsElasticBlockStore",
  "azureDisk",
  "azureFile",
  "cephfs",
  "cinder",
  "csi",
  "fc",
  "flexVolume",
  "flocker",
  "gcePersistentDisk",
  "glusterfs",
  "hostPath",
  "iscsi",
  "local",
  "nfs",
  "photonPersistentDisk",
  "portworxVolume",
  "quobyte",
  "rbd",
  "scaleIO",
  "storageos",
  "vsphereVolume",
];

/** A Pod's whole spec, without what Kubernetes allows to change, such as deadline and tolerations. */
const POD = [
  "affinity",
  "automountServiceAccountToken",
  "containers",
  "dnsConfig",
  "dnsPolicy",
  "enableServiceLinks",
  "hostAliases",
  "hostIPC",
  "hostNetwork",
  "hostPID",
  "hostname",
  "imagePullSecrets",
  "initContainers",
  "nodeName",
  "nodeSelector",
  "overhead",
  "preemptionPolicy",
  "priority",
  "priorityClassName",
  "readinessGates",
  "restartPolicy",
  "runtimeClassName",
  "schedulerName",
  "securityContext",
  "serviceAccount",
  "serviceAccountName",
  "shareProcessNamespace",
  "subdomain",
  "terminationGracePeriodSeconds",
  "volumes",
];

const inSpec = (names: readonly string[]): string[] => names.map((name) => `spec.${name}`);

const BY_KIND: Readonly<Record<string, readonly string[]>> = {
  "apps DaemonSet": inSpec(["selector"]),
  "apps Deployment": inSpec(["selector"]),
  "apps StatefulSet": inSpec([
    "podManagementPolicy",
    "revisionHistoryLimit",
    "selector",
    "serviceName",
    "volumeClaimTemplates",
  ]),
  "batch Job": inSpec(["completions", "parallelism", "selector", "template"]),
  " PersistentVolume": inSpec(VOLUME_SOURCES),
  " PersistentVolumeClaim": inSpec(["accessModes", "selector", "storageClassName", "volumeName"]),
  " Pod": inSpec(POD),
  " ResourceQuota": inSpec(["scopes"]),
  " Secret": ["type"],
  " Service": inSpec(["clusterIP"]),
  "rbac.authorization.k8s.io ClusterRoleBinding": ["roleRef"],
  "rbac.authorization.k8s.io RoleBinding": ["roleRef"],
  "storage.k8s.io StorageClass": ["parameters", "provisioner"],
};

function immutableFields(object: Properties, mutability: Mutability): readonly string[] {
  const apiVersion = textOf(object["apiVersion"]);
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  const key = `${group ?? ""} ${textOf(object["kind"])}`;
  const isSealed = object["immutable"] === true;
  if (key === " Secret" && (!mutability.secretMutable || isSealed)) {
    return ["type", "stringData", "data"];
  }
  if (key === " ConfigMap" && (!mutability.configMapMutable || isSealed)) {
    return ["binaryData", "data"];
  }
  return BY_KIND[key] ?? [];
}

/** Tells by path whether a change replaces the object. A Patch resource is replaced only for another object. */
export function replacesOf(
  object: Properties,
  patch: boolean,
  mutability: Mutability,
): (path: Path) => boolean {
  const fields = patch ? IDENTITY : [...IDENTITY, ...immutableFields(object, mutability)];
  const prefixes = fields.map(parsePath);
  return (path) =>
    prefixes.some((prefix) => startsWith(path, prefix)) ||
    // Adding or removing a parent of an immutable field changes that field too.
    prefixes.some(
      (prefix) => path.length > 0 && startsWith(prefix, path) && path[0] !== "metadata",
    );
}
