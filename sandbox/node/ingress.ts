import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type KubeConfig, KubernetesObjectApi } from "@kubernetes/client-node";
import { type Context, partFolder } from "../context.ts";
import type { SandboxNode } from "../cluster.ts";
import { writeArchive } from "../images/archive.ts";
import { Blobs } from "../images/blobs.ts";
import { packImage } from "../images/image.ts";
import { requireCommand, run } from "../process.ts";
import type { BuiltFamily } from "../tools.ts";
import { workloadObjects, workloadRuns } from "./workload.ts";

/** The ingress of a real node. Its names are those of one domain. */
export interface Ingress {
  /** The node's address. Ports 80 and 443 lead to the ingress controller. */
  readonly address: string;
  /** A certificate for every name one label below the domain, its key and its authority, in PEM. */
  readonly tls: Certificate;
}

interface Certificate {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

export interface IngressOptions {
  readonly domain: string;
  readonly traefik: BuiltFamily;
  readonly admin: KubeConfig;
  /** Gitea's address, as pods see it. The ingress serves it at `giteaUrl`. */
  readonly gitea: string;
}

const NAME = "traefik";
/** The namespace of k3s' Traefik, which is the default of the platform's setting `ingressNamespace`. */
const NAMESPACE = "kube-system";
const IMAGE = "rdev.local/traefik:1";
const LABELS = { "app.kubernetes.io/name": NAME };
const GITEA = "gitea";

/** The URL at which the ingress of a domain serves the sandbox's Gitea. */
export function giteaUrl(domain: string): string {
  return `https://git.${domain}`;
}

/** Starts Traefik as a Deployment on the node, and gives Gitea an Ingress. Resolves when it is ready. */
export async function startIngress(
  context: Context,
  { link, importImages }: SandboxNode,
  { domain, traefik, admin, gitea }: IngressOptions,
): Promise<Ingress> {
  const folder = await partFolder(context, "ingress");
  const image = async () => {
    const files = [{ path: `/${NAME}`, source: traefik.program(NAME) }];
    const packed = await packImage(new Blobs(join(folder, "image")), [files], {
      entrypoint: [`/${NAME}`],
      user: "65532:65532",
    });
    const archive = join(folder, "image.tar");
    await writeArchive(archive, { [IMAGE]: packed });
    await importImages(archive);
  };
  const [tls] = await Promise.all([makeCertificate(context, folder, domain), image()]);
  const objects = KubernetesObjectApi.makeApiClient(admin);
  for (const each of [...controller(link.node), ...giteaObjects({ domain, gitea, tls })]) {
    await objects.create(each);
  }
  await workloadRuns(admin, { name: NAME, namespace: NAMESPACE });
  context.report("node", `Traefik serves ${giteaUrl(domain)} on ${link.node}`);
  return { address: link.node, tls };
}

const REQUESTS = `[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
`;

/** Makes an authority, and a certificate of it for `*.<domain>`. */
async function makeCertificate(
  { reaper }: Context,
  folder: string,
  domain: string,
): Promise<Certificate> {
  const config = join(folder, "openssl.cnf");
  await writeFile(config, `${REQUESTS}subjectAltName = DNS:*.${domain}\n`);
  const openssl = await requireCommand("openssl");
  const make = async (name: "authority" | "server", subject: string, ...more: string[]) => {
    await run(
      reaper,
      openssl,
      [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"],
        ...["-config", config, "-extensions", name, "-subj", subject, "-days", "365"],
        ...["-keyout", `${name}.key`, "-out", `${name}.crt`, ...more],
      ],
      { folder },
    );
    const [certificate, key] = await Promise.all(
      ["crt", "key"].map((type) => readFile(join(folder, `${name}.${type}`), "utf8")),
    );
    return { certificate: certificate ?? "", key: key ?? "" };
  };
  const authority = await make("authority", "/CN=Sandbox authority");
  const issuer = ["-CA", "authority.crt", "-CAkey", "authority.key"];
  const server = await make("server", `/CN=*.${domain}`, ...issuer);
  return { ...server, authority: authority.certificate };
}

/** https://doc.traefik.io/traefik/reference/install-configuration/providers/kubernetes/kubernetes-ingress/ */
function controller(address: string) {
  const metadata = { name: NAME, namespace: NAMESPACE, labels: LABELS };
  const read = ["get", "list", "watch"];
  return [
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "IngressClass",
      metadata: { name: NAME },
      spec: { controller: "traefik.io/ingress-controller" },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: {
        // The node has no load balancer, which k3s has for this.
        externalIPs: [address],
        selector: LABELS,
        ports: [
          { name: "web", port: 80, targetPort: "web" },
          { name: "websecure", port: 443, targetPort: "websecure" },
        ],
      },
    },
    ...workloadObjects({
      ...metadata,
      role: NAME,
      rules: [
        { apiGroups: [""], resources: ["services", "secrets", "nodes"], verbs: read },
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: read },
        {
          apiGroups: ["networking.k8s.io"],
          resources: ["ingresses", "ingressclasses"],
          verbs: read,
        },
        { apiGroups: ["networking.k8s.io"], resources: ["ingresses/status"], verbs: ["update"] },
      ],
      pod: podSpec(address),
    }),
  ];
}

function podSpec(address: string) {
  return {
    containers: [
      {
        name: NAME,
        image: IMAGE,
        imagePullPolicy: "Never",
        args: [
          "--entrypoints.web.address=:8000",
          "--entrypoints.websecure.address=:8443",
          "--entrypoints.websecure.http.tls=true",
          "--entrypoints.traefik.address=:8080",
          "--ping=true",
          "--providers.kubernetesingress=true",
          `--providers.kubernetesingress.ingressendpoint.ip=${address}`,
          "--global.checknewversion=false",
          "--global.sendanonymoususage=false",
        ],
        ports: [
          { name: "web", containerPort: 8000 },
          { name: "websecure", containerPort: 8443 },
        ],
        readinessProbe: { httpGet: { path: "/ping", port: 8080 }, periodSeconds: 1 },
        resources: { requests: { cpu: "20m", memory: "64Mi" }, limits: { memory: "256Mi" } },
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ["ALL"] },
          readOnlyRootFilesystem: true,
        },
      },
    ],
  };
}

/** Gitea is no pod, so its Service has an address of this machine. */
function giteaObjects({
  domain,
  gitea,
  tls,
}: Pick<IngressOptions, "domain" | "gitea"> & { readonly tls: Certificate }) {
  const metadata = { name: GITEA, namespace: GITEA };
  const { hostname, port } = new URL(gitea);
  const { host } = new URL(giteaUrl(domain));
  const backend = { service: { name: GITEA, port: { name: "http" } } };
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: GITEA } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { ports: [{ name: "http", port: 80 }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { ...metadata, labels: { "kubernetes.io/service-name": GITEA } },
      addressType: "IPv4",
      ports: [{ name: "http", port: Number(port), protocol: "TCP" }],
      endpoints: [{ addresses: [hostname], conditions: { ready: true } }],
    },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata,
      type: "kubernetes.io/tls",
      stringData: { "tls.crt": tls.certificate, "tls.key": tls.key },
    },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata,
      spec: {
        ingressClassName: NAME,
        tls: [{ hosts: [host], secretName: GITEA }],
        rules: [{ host, http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
      },
    },
  ];
}
