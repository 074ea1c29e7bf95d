/** Which object is meant: by its inputs, by a type token of @pulumi/kubernetes, and by its id. */
import { isObject, textOf, type Json, type Properties } from "../values.ts";

export interface Identity {
  readonly apiVersion: string;
  readonly kind: string;
  /** Undefined for what lies in no namespace, or in the default one. */
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

/** `kubernetes:apps/v1:Deployment` and `kubernetes:core/v1:ConfigMapPatch`, as API version and kind. */
function kindOfToken(type: string): { apiVersion: string; kind: string } {
  const [, apiVersion = "", kind = ""] = type.split(":");
  return { apiVersion: apiVersion.replace(/^core\//, ""), kind };
}

/** A Patch resource sets some fields of an object that it does not own. */
export function isPatch(type: string, inputs: Properties): boolean {
  const kind = text(inputs["kind"]);
  return kindOfToken(type).kind.endsWith("Patch") && kind !== undefined && !kind.endsWith("Patch");
}

/** The resource's id, as the official plugin writes it. */
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

/** For messages: `Deployment shop/web`. */
export const describe = (object: Properties): string => `${textOf(object["kind"])} ${idOf(object)}`;

/**
 * The kinds of Kubernetes itself that lie in no namespace (`kubectl api-resources --namespaced=false`).
 * Known here, so that checking a resource takes no call to the API server.
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

/** Undefined for a custom kind: only the API server knows. */
export function isNamespaced(apiVersion: string, kind: string): boolean | undefined {
  const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
  const isBuiltIn = !group.includes(".") || group.endsWith(".k8s.io");
  return isBuiltIn ? !CLUSTER_SCOPED.has(kind) : undefined;
}
