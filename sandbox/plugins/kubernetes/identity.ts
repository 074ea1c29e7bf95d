/** Identifies an object by its inputs, its type token of @pulumi/kubernetes and its id. */
import { isObject, textOf, type Json, type Properties } from "../values.ts";

export interface Identity {
  readonly apiVersion: string;
  readonly kind: string;
  /** Undefined for cluster-scoped objects, and for the default namespace. */
  readonly namespace: string | undefined;
  readonly name: string;
}

export interface Metadata {
  readonly name: string | undefined;
  readonly namespace: string | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

const text = (value: Json | undefined): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

export function metadataOf(object: Properties): Metadata {
  const metadata = isObject(object["metadata"]) ? object["metadata"] : {};
  const annotations = isObject(metadata["annotations"]) ? metadata["annotations"] : {};
  return {
    name: text(metadata["name"]),
    namespace: text(metadata["namespace"]),
    uid: text(metadata["uid"]),
    resourceVersion: text(metadata["resourceVersion"]),
    annotations: annotations as Record<string, string>,
  };
}

/** The API version and kind of a token such as `kubernetes:apps/v1:Deployment`. */
function kindOfToken(type: string): { apiVersion: string; kind: string } {
  const [, apiVersion = "", kind = ""] = type.split(":");
  return { apiVersion: apiVersion.replace(/^core\//, ""), kind };
}

/** A Patch resource sets some fields of an object that it does not own. */
export function isPatch(type: string, inputs: Properties): boolean {
  const kind = text(inputs["kind"]);
  return kindOfToken(type).kind.endsWith("Patch") && kind !== undefined && !kind.endsWith("Patch");
}

/** The resource's id, in the format of the official plugin. */
export function idOf(object: Properties): string {
  const { namespace, name } = metadataOf(object);
  return namespace === undefined ? (name ?? "") : `${namespace}/${name ?? ""}`;
}

export function identityOf(type: string, object: Properties, id: string): Identity {
  const token = kindOfToken(type);
  const [name = "", namespace] = id.split("/").reverse();
  return {
    apiVersion: text(object["apiVersion"]) ?? token.apiVersion,
    kind: text(object["kind"]) ?? token.kind,
    namespace: namespace ?? metadataOf(object).namespace,
    name,
  };
}

/** A name for messages: `Deployment shop/web`. */
export const describe = (object: Properties): string => `${textOf(object["kind"])} ${idOf(object)}`;

/**
 * Kubernetes' own cluster-scoped kinds (`kubectl api-resources --namespaced=false`). They are listed
 * here so that checking a resource needs no call to the API server.
 */
const CLUSTER_SCOPED = new Set([
  "APIService",
  "CSIDriver",
  "CSINode",
  "CertificateSigningRequest",
  "ClusterRole",
  "ClusterRoleBinding",
  "ClusterTrustBundle",
  "ComponentStatus",
  "CustomResourceDefinition",
  "DeviceClass",
  "DeviceTaintRule",
  "FlowSchema",
  "IPAddress",
  "IngressClass",
  "MutatingAdmissionPolicy",
  "MutatingAdmissionPolicyBinding",
  "MutatingWebhookConfiguration",
  "Namespace",
  "Node",
  "PersistentVolume",
  "PriorityClass",
  "PriorityLevelConfiguration",
  "ResourceSlice",
  "RuntimeClass",
  "SelfSubjectAccessReview",
  "SelfSubjectReview",
  "SelfSubjectRulesReview",
  "ServiceCIDR",
  "StorageClass",
  "StorageVersion",
  "StorageVersionMigration",
  "SubjectAccessReview",
  "TokenReview",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionPolicyBinding",
  "ValidatingWebhookConfiguration",
  "VolumeAttachment",
  "VolumeAttributesClass",
]);

/** Undefined for a custom kind, whose scope only the API server knows. */
export function isNamespaced(apiVersion: string, kind: string): boolean | undefined {
  const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
  const isBuiltIn = !group.includes(".") || group.endsWith(".k8s.io");
  return isBuiltIn ? !CLUSTER_SCOPED.has(kind) : undefined;
}
