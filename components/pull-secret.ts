import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { PullAccount } from "../core/registry.ts";

/** The name is fixed, so that running pods use a renewed account for their next pull. */
export function pullSecretOf(
  name: string,
  metadata: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  { host, account }: PullAccount,
  options: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret {
  const { username, password } = account;
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  const config = JSON.stringify({ auths: { [host]: { username, password, auth } } });
  return new k8s.core.v1.Secret(
    `${name}-registry`,
    {
      metadata: { ...metadata, name: "registry-pull" },
      type: "kubernetes.io/dockerconfigjson",
      stringData: { ".dockerconfigjson": pulumi.secret(config) },
    },
    options,
  );
}
