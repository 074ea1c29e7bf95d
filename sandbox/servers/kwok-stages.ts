// The stages by which kwok changes nodes and pods: https://kwok.sigs.k8s.io/docs/user/stages-configuration/
// kwok defines functions such as NodeConditions and PodIPsWith.

const NODE_READY = `
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ Now | Quote }}
  lastTransitionTime: {{ Now | Quote }}
{{ end }}
addresses:
- { type: InternalIP, address: {{ NodeIP | Quote }} }
- { type: Hostname, address: {{ NodeName | Quote }} }
allocatable: { cpu: "32", memory: 256Gi, ephemeral-storage: 100Gi, pods: "250" }
capacity: { cpu: "32", memory: 256Gi, ephemeral-storage: 100Gi, pods: "250" }
nodeInfo:
  architecture: amd64
  operatingSystem: linux
  bootID: ""
  containerRuntimeVersion: kwok
  kernelVersion: kwok
  kubeProxyVersion: kwok
  kubeletVersion: kwok
  machineID: ""
  osImage: ""
  systemUUID: ""
phase: Running
`;

const POD_RUNNING = `
{{ $now := Now }}
conditions:
- { type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }} }
- { type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }} }
- { type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }} }
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  started: true
  restartCount: 0
  state: { running: { startedAt: {{ $now | Quote }} } }
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  restartCount: 0
  state: { terminated: { exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }} } }
{{ end }}
{{ with PodIPsWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace }}
podIP: {{ index . 0 | Quote }}
podIPs: [ { ip: {{ index . 0 | Quote }} } ]
{{ end }}
phase: Running
startTime: {{ $now | Quote }}
`;

const POD_SUCCEEDED = `
{{ $now := Now }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state: { terminated: { exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }} } }
{{ end }}
phase: Succeeded
`;

const DELETED = ".metadata.deletionTimestamp";
const READY = '.status.conditions.[] | select( .type == "Ready" ) | .status';

/** Nodes become Ready, pods Running and Ready, and pods of a Job Succeeded. Deleted pods vanish at once. */
export const STAGES = [
  stage("node-ready", "Node", [is(READY, "NotIn", "True")], { statusTemplate: NODE_READY }),
  stage(
    "pod-running",
    "Pod",
    [is(DELETED, "DoesNotExist"), is(".status.phase", "In", "Pending"), is(READY, "NotIn", "True")],
    { statusTemplate: POD_RUNNING },
  ),
  stage(
    "job-succeeded",
    "Pod",
    [
      is(DELETED, "DoesNotExist"),
      is(".status.phase", "In", "Running"),
      is(".metadata.ownerReferences.[].kind", "In", "Job"),
    ],
    { statusTemplate: POD_SUCCEEDED },
  ),
  stage("pod-gone", "Pod", [is(DELETED, "Exists")], { delete: true }),
];

interface Condition {
  key: string;
  operator: string;
  values?: string[];
}

function is(key: string, operator: string, ...values: string[]): Condition {
  return { key, operator, ...(values.length > 0 && { values }) };
}

function stage(name: string, kind: "Node" | "Pod", matchExpressions: Condition[], next: object) {
  return {
    apiVersion: "kwok.x-k8s.io/v1alpha1",
    kind: "Stage",
    metadata: { name },
    spec: { resourceRef: { apiGroup: "v1", kind }, selector: { matchExpressions }, next },
  };
}
