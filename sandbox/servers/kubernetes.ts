import type { Context, Part } from "../context.ts";
import { applyWorkloads, workloadsRun } from "../platform.ts";
import type { BuiltFamily } from "../tools.ts";
import { startControllers, startControlPlane } from "./control-plane.ts";
import { startKwok } from "./kwok.ts";

export interface KubernetesServer {
  /** The path of the administrator's kubeconfig, which only this user can read. */
  readonly kubeconfig: string;
  readonly part: Part;
}

/**
 * Starts a production control plane with kwok nodes instead of kubelets: pods are scheduled and become
 * Ready, but run nothing. Then creates the workloads that a platform has before rdev-infra.
 */
export async function startKubernetes(
  context: Context,
  tools: Record<"kubernetes" | "etcd" | "kwok", BuiltFamily>,
): Promise<KubernetesServer> {
  const url = `https://127.0.0.1:${context.ports.take()}`;
  const plane = await startControlPlane(context, tools, {
    accounts: { kwok: {} },
    url,
    serviceRange: "10.96.0.0/16",
    // The API server must not publish a loopback address as an endpoint.
    apiServerFlags: ["--endpoint-reconciler-type=none"],
    reachesEtcd: true,
  });
  await Promise.all([
    startControllers(context, tools.kubernetes, plane),
    startKwok(context, tools.kwok, plane.kubeconfig("kwok"), plane.admin),
    applyWorkloads(plane.admin),
  ]);
  context.report("kubernetes", "controllers, scheduler and nodes are up");
  await workloadsRun(plane.admin);
  return {
    kubeconfig: plane.kubeconfig("sandbox-admin"),
    part: {
      name: "Kubernetes",
      real: true,
      version: tools.kubernetes.version,
      address: url,
      reach:
        "KUBECONFIG names its file: kubectl get pods -A. Its nodes are kwok nodes: pods run nothing",
    },
  };
}
