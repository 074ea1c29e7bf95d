import { createHash } from "node:crypto";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ownershipLabels, workloadLabels } from "../core/labels.ts";
import { Namespace } from "../providers/kubernetes/namespace.ts";

/** The name of every object of the agent. */
const NAME = "citadel-agent";

export interface CitadelAgentArgs {
  /** The platform's name: whose mark the objects carry. */
  readonly platform: string;
  readonly namespace: string;
  readonly image: string;
  /** Citadel's URL, without a trailing slash. */
  readonly citadelUrl: string;
  /** The key that it sends with; good for ingest only, where there is such a key. */
  readonly apiKey: string;
  /** The platform's own environment. */
  readonly tenantId: pulumi.Input<string>;
}

/**
 * The log agent, on every node whatever its taints: namespace, Secret `citadel-agent` (keys
 * `api-key` and `tenant-id`), ConfigMap, ServiceAccount, RBAC (`get` on pods, no more) and DaemonSet.
 * It sends every container's output to the platform's environment. Delete deletes all of it; what
 * has been sent stays in Citadel.
 */
export class CitadelAgent extends pulumi.ComponentResource {
  readonly namespace: pulumi.Output<string>;

  constructor(name: string, args: CitadelAgentArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:CitadelAgent", name, {}, options);
    const labels = { ...workloadLabels(NAME), ...ownershipLabels(args.platform) };
    const metadata = { name: NAME, namespace: args.namespace, labels };
    const apiKey = pulumi.secret(args.apiKey);

    const namespace = new Namespace(
      name,
      {
        name: args.namespace,
        project: args.platform,
        labels: {
          ...ownershipLabels(args.platform),
          // The agent mounts the node's log folder.
          "pod-security.kubernetes.io/enforce": "privileged",
        },
      },
      { parent: this },
    );
    const child = { parent: this, dependsOn: namespace, deletedWith: namespace };

    const account = new k8s.core.v1.ServiceAccount(name, { metadata }, child);
    const role = new k8s.rbac.v1.ClusterRole(
      name,
      {
        metadata: { name: NAME, labels },
        rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }],
      },
      { parent: this },
    );
    new k8s.rbac.v1.ClusterRoleBinding(
      name,
      {
        metadata: { name: NAME, labels },
        roleRef: {
          apiGroup: "rbac.authorization.k8s.io",
          kind: "ClusterRole",
          name: role.metadata.name,
        },
        subjects: [
          { kind: "ServiceAccount", name: account.metadata.name, namespace: args.namespace },
        ],
      },
      { parent: this },
    );
    const secret = new k8s.core.v1.Secret(
      name,
      { metadata, stringData: { "api-key": apiKey, "tenant-id": args.tenantId } },
      child,
    );
    const configuration = agentConfiguration(args.citadelUrl);
    const config = new k8s.core.v1.ConfigMap(
      name,
      { metadata, data: { "fluent-bit.yaml": configuration } },
      child,
    );
    new k8s.apps.v1.DaemonSet(
      name,
      {
        metadata,
        spec: {
          selector: { matchLabels: workloadLabels(NAME) },
          template: {
            metadata: {
              labels: workloadLabels(NAME),
              // A new key or configuration restarts the pods.
              annotations: {
                "rdev.io/configuration": pulumi
                  .all([apiKey, args.tenantId])
                  .apply((values) => fingerprint([configuration, ...values])),
              },
            },
            spec: podSpec(args.image, {
              account: account.metadata.name,
              secret: secret.metadata.name,
              config: config.metadata.name,
            }),
          },
        },
      },
      // Before its namespace: that waits half of the pods' time to stop, whether they need it or not.
      { parent: this, dependsOn: namespace },
    );

    this.namespace = namespace.id;
    this.registerOutputs({ namespace: this.namespace });
  }
}

function fingerprint(values: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(values)).digest("hex").slice(0, 16);
}

function podSpec(
  image: string,
  names: Record<"account" | "secret" | "config", pulumi.Input<string>>,
) {
  const fromSecret = (key: string) => ({ secretKeyRef: { name: names.secret, key } });
  return {
    serviceAccountName: names.account,
    tolerations: [{ operator: "Exists" }],
    containers: [
      {
        name: "agent",
        image,
        args: ["--config=/etc/citadel-agent/fluent-bit.yaml"],
        env: [
          { name: "CITADEL_API_KEY", valueFrom: fromSecret("api-key") },
          { name: "CITADEL_TENANT_ID", valueFrom: fromSecret("tenant-id") },
        ],
        resources: {
          requests: { cpu: "50m", memory: "64Mi" },
          limits: { cpu: "500m", memory: "256Mi" },
        },
        securityContext: {
          runAsUser: 0, // the node's log files belong to root
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: [
          { name: "config", mountPath: "/etc/citadel-agent", readOnly: true },
          { name: "logs", mountPath: "/var/log", readOnly: true },
          { name: "state", mountPath: "/var/lib/citadel-agent" },
        ],
      },
    ],
    volumes: [
      { name: "config", configMap: { name: names.config } },
      { name: "logs", hostPath: { path: "/var/log" } },
      // Which line of which file was sent last: it must outlive the pod.
      {
        name: "state",
        hostPath: { path: "/var/lib/citadel-agent", type: "DirectoryOrCreate" },
      },
    ],
  } satisfies k8s.types.input.core.v1.PodSpec;
}

/** Fluent Bit's own format: https://docs.fluentbit.io/manual/administration/configuring-fluent-bit */
function agentConfiguration(citadelUrl: string): string {
  const { hostname, port, protocol, pathname } = new URL(citadelUrl);
  const tls = protocol === "https:";
  return `service:
  flush: 5
pipeline:
  inputs:
    - name: tail
      path: /var/log/containers/*.log
      multiline.parser: cri
      db: /var/lib/citadel-agent/positions.db
  filters:
    - name: lua
      match: "*"
      call: citadel_event
      time_as_table: on
      code: |
        -- An event as Citadel takes it. The file is named <pod>_<namespace>_<container>-<id>.log.
        function citadel_event(tag, time, record)
          local container = tag:match("_([^_]+)%-%x+%.log$") or tag
          return 1, time, {
            message = record.log or "",
            level = record.stream == "stderr" and "error" or "info",
            timestamp = os.date("!%Y-%m-%dT%H:%M:%S", time.sec)
              .. string.format(".%03dZ", math.floor(time.nsec / 1000000)),
            service = container,
            environment = "platform",
            target = record.stream or "stdout",
          }
        end
  outputs:
    - name: http
      match: "*"
      host: ${hostname}
      port: ${port || (tls ? 443 : 80)}
      tls: ${tls ? "on" : "off"}
      uri: ${pathname.replace(/\/$/, "")}/api/v1/ingest
      format: json
      json_date_key: false
      header:
        - Authorization Bearer \${CITADEL_API_KEY}
        - X-Tenant-ID \${CITADEL_TENANT_ID}
`;
}
