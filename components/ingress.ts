import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { TlsSettings } from "../core/settings.ts";

/** With "true", Pulumi's Kubernetes plugin does not wait until the object is ready. */
export const SKIP_AWAIT = "pulumi.com/skipAwait";

/** cert-manager issues a certificate for an Ingress with this annotation: https://cert-manager.io/docs/usage/ingress. */
const CLUSTER_ISSUER = "cert-manager.io/cluster-issuer";

export interface IngressArgs {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly host: string;
  readonly ingressClass: string;
  /** Where the host's certificate comes from. By default the ingress controller serves its own. */
  readonly tls?: TlsSettings | undefined;
  /** The Service, whose port is named `http`. */
  readonly service: pulumi.Input<string>;
}

/** An Ingress for a whole host, with TLS. */
export function ingressOf(
  name: string,
  { metadata, host, ingressClass, tls = {}, service }: IngressArgs,
  options: pulumi.CustomResourceOptions,
): k8s.networking.v1.Ingress {
  // cert-manager creates the Secret under the name that the Ingress gives it.
  const secretName = tls.clusterIssuer === undefined ? tls.secret : `${metadata.name}-tls`;
  return new k8s.networking.v1.Ingress(
    name,
    {
      // The ingress controller sets the address. An up must not wait for that.
      metadata: {
        ...metadata,
        annotations: {
          [SKIP_AWAIT]: "true",
          ...(tls.clusterIssuer !== undefined && { [CLUSTER_ISSUER]: tls.clusterIssuer }),
        },
      },
      spec: {
        ingressClassName: ingressClass,
        tls: [{ hosts: [host], ...(secretName !== undefined && { secretName }) }],
        rules: [
          {
            host,
            http: {
              paths: [
                {
                  path: "/",
                  pathType: "Prefix",
                  backend: { service: { name: service, port: { name: "http" } } },
                },
              ],
            },
          },
        ],
      },
    },
    options,
  );
}
