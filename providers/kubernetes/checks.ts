import pLimit from "p-limit";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import {
  type Check,
  clock,
  failed,
  type Finding,
  ok,
  skipped,
  warning,
  withSettings,
} from "../check.ts";
import { Kubernetes } from "./client.ts";
import { refuseForeign } from "./cluster-claim.ts";
import {
  neededRights,
  type Right,
  RIGHTS_FILE,
  rightsOf,
  rightsText,
  rolesInFile,
} from "./rights.ts";

/** The lifecycle handler `sleep` of a project's pods came with Kubernetes 1.30, and so did policies v1. */
const OLDEST_MINOR = 30;

/** Questions about rights that are asked at once. */
const AT_ONCE = 16;

/** cert-manager's version of ClusterIssuer. */
const ISSUERS = "/apis/cert-manager.io/v1/clusterissuers";

const versionAnswer = z.object({ major: z.string(), minor: z.string(), gitVersion: z.string() });
const reviewAnswer = z.object({ status: z.object({ allowed: z.boolean() }) });
const issuerAnswer = z.object({
  spec: z.object({
    acme: z
      .object({ solvers: z.array(z.object({ http01: z.unknown().optional() })).default([]) })
      .optional(),
  }),
  status: z
    .object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) })
    .optional(),
});

function check(name: string, run: Check["run"]): Check {
  return { system: "Kubernetes", name, needs: ["kubernetes"], run };
}

/** What a platform and its projects need of a cluster. */
export const checks: readonly Check[] = [
  check("version", async () => {
    const kubernetes = await Kubernetes.connect();
    const { text } = await kubernetes.calls.ask("/version");
    const { major, minor, gitVersion } = versionAnswer.parse(JSON.parse(text));
    // Some providers write "30+".
    if (Number(major) > 1 || Number.parseInt(minor, 10) >= OLDEST_MINOR) return ok(gitVersion);
    return failed(
      `is ${gitVersion}, which is too old`,
      `Upgrade the cluster to 1.${OLDEST_MINOR} or newer.`,
    );
  }),
  check("clock", async () => {
    const kubernetes = await Kubernetes.connect();
    const asked = Date.now();
    return clock((await kubernetes.calls.ask("/version")).date, asked);
  }),
  check("rights", async () => {
    const kubernetes = await Kubernetes.connect();
    const rights = neededRights();
    const missing = await notAllowed(kubernetes, rights);
    if (missing.length === 0) return ok(`all ${rights.length} of ${RIGHTS_FILE}`);
    return failed(
      `KUBECONFIG's user may not ${rightsText(missing)}`,
      `Apply ${RIGHTS_FILE}, and use its account.`,
    );
  }),
  check(
    "ingress class",
    withSettings(({ ingressClass }) =>
      unlessForbidden("IngressClasses", async () => {
        const kubernetes = await Kubernetes.connect();
        const name = {
          apiVersion: "networking.k8s.io/v1",
          kind: "IngressClass",
          name: ingressClass,
        };
        if (await kubernetes.find(name)) return ok(ingressClass);
        return failed(
          `there is no IngressClass ${ingressClass}, so no controller would serve the projects`,
          "Install an ingress controller, or set rdev:ingressClass (kubectl get ingressclass).",
        );
      }),
    ),
  ),
  check("names", async ({ claim }) => {
    if (!claim) return skipped("needs the platform's settings and its backend");
    await refuseForeign(await Kubernetes.connect(), claim);
    return ok("nobody else has a name that the platform needs");
  }),
  check("policies", async ({ claim }) => {
    if (!claim) return skipped("needs the platform's settings and its backend");
    if (claim.leading === undefined) return skipped("this platform does not collect logs");
    const kubernetes = await Kubernetes.connect();
    const actions = await kubernetes.actionsOf(claim.leading);
    if (!actions) return skipped("the first up makes them, and then they only warn");
    if (actions.includes("Deny")) return ok(`${actions.join(", ")}`);
    return warning(
      `only report (${actions.join(", ")}), so whoever labels a pod can write another tenant's logs`,
      "Read what they would have refused, then set rdev:policyActions to [Deny] and bring the " +
        "platform up.",
    );
  }),
  check("refusals", async ({ claim }) => {
    if (!claim) return skipped("needs the platform's settings and its backend");
    return unlessForbidden("/metrics", async () => {
      const kubernetes = await Kubernetes.connect();
      const counts = refusalsIn((await kubernetes.calls.ask("/metrics")).text, claim.policies);
      if (counts.length === 0) return ok("the policies refused nothing since the API server began");
      return warning(
        `since the API server began, the policies refused or would have refused ${counts.join(", ")}`,
        "The API server's audit log and the warnings of kubectl name the objects.",
      );
    });
  }),
  check(
    "certificates",
    withSettings(async ({ tls }) => {
      if (tls?.clusterIssuer === undefined) return skipped("rdev:tls names no ClusterIssuer");
      const name = tls.clusterIssuer;
      return unlessForbidden("ClusterIssuers", () => examineIssuer(name));
    }),
  ),
];

/** What the service in the cluster needs in addition. */
export const serviceChecks: readonly Check[] = [
  check(
    "service's rights",
    withSettings(async ({ service }) => {
      const kubernetes = await Kubernetes.connect();
      const namespace = service?.namespace;
      // RBAC lets only those give a right who have it.
      const rights = rolesInFile().flatMap((role) =>
        rightsOf(role).map((right) => ({ ...right, ...(role.kind === "Role" && { namespace }) })),
      );
      const missing = await notAllowed(kubernetes, rights);
      if (missing.length === 0) return ok("KUBECONFIG's user may give them to its account");
      return failed(
        `KUBECONFIG's user may not ${rightsText(missing)}, so it cannot give these rights`,
        "Run the first up, and one that changes these rights, as an administrator of the cluster.",
      );
    }),
  ),
  check("monitoring", async ({ claim }) => {
    if (!claim) return skipped("needs the platform's backend");
    const served = await (await Kubernetes.connect()).served(claim.kinds ?? []);
    const names = served.map((kind) => kind.split("/").at(-1));
    return names.length > 0
      ? ok(names.join(", "))
      : skipped("the cluster has no Prometheus Operator, so the up makes no alerts");
  }),
];

/** Those of the rights that the kubeconfig's user does not have. */
async function notAllowed(kubernetes: Kubernetes, rights: readonly Right[]): Promise<Right[]> {
  const limit = pLimit(AT_ONCE);
  const answers = await Promise.all(
    rights.map((right) => limit(() => isAllowed(kubernetes, right))),
  );
  return rights.filter((_, at) => !answers[at]);
}

async function isAllowed(kubernetes: Kubernetes, right: Right): Promise<boolean> {
  const { text } = await kubernetes.calls.ask(
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes: right },
    },
  );
  return reviewAnswer.parse(JSON.parse(text)).status.allowed;
}

async function examineIssuer(name: string): Promise<Finding> {
  const kubernetes = await Kubernetes.connect();
  const answer = await kubernetes.calls.ask(`${ISSUERS}/${name}`).catch((error: unknown) => {
    if (error instanceof InfraError && error.status === 404) return undefined;
    throw error;
  });
  if (!answer) {
    return failed(
      `there is no ClusterIssuer ${name}`,
      "Create it (cert-manager has to be installed), or correct rdev:tls.",
    );
  }
  const { spec, status } = issuerAnswer.parse(JSON.parse(answer.text));
  const solvers = spec.acme?.solvers ?? [];
  if (solvers.length > 0 && solvers.every(({ http01 }) => http01 !== undefined)) {
    return failed(
      `the ClusterIssuer ${name} solves HTTP-01 only, whose pods the platform's policies refuse`,
      "Give it a DNS-01 solver (docs/operations.md, Certificates).",
    );
  }
  const isReady = status?.conditions.some(
    (each) => each.type === "Ready" && each.status === "True",
  );
  if (isReady) return ok(`the ClusterIssuer ${name} is ready`);
  return warning(
    `the ClusterIssuer ${name} is not ready`,
    `kubectl describe clusterissuer ${name}`,
  );
}

/** Skips a check for which the account of the stacks needs no right. */
async function unlessForbidden(what: string, work: () => Promise<Finding>): Promise<Finding> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof InfraError && error.code === "RDEV_FORBIDDEN")) throw error;
    return skipped(`KUBECONFIG's user may not read ${what} (${RIGHTS_FILE}: rdev-infra-doctor)`);
  }
}

/** The counter of the API server (Kubernetes 1.30): a line for each policy, binding and action. */
const COUNTER = /^apiserver_validating_admission_policy_check_total\{(.*)\} (\S+)$/gm;

/** How often each policy refused, or would have refused, a request. Empty if none did. */
function refusalsIn(metrics: string, policies: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const [, labels = "", count = "0"] of metrics.matchAll(COUNTER)) {
    const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? "";
    const policy = label("policy");
    if (!policies.includes(policy) || label("enforcement_action") === "allow") continue;
    counts.set(policy, (counts.get(policy) ?? 0) + Number(count));
  }
  return [...counts].map(([policy, count]) => `${count} requests (${policy})`);
}
