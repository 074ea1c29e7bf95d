import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { collectDefaultMetrics, Registry } from "prom-client";
import { AGENT_ALERTS, serviceAlerts } from "../../components/control-plane/alerts.ts";
import { PROMETHEUS_RULE, SERVICE_MONITOR } from "../../components/control-plane/monitoring.ts";
import { rolesInFile } from "../../providers/kubernetes/rights.ts";
import { PLATFORM } from "../support/platform.ts";
import { run, SERVICE } from "../support/service-program.ts";

describe("the service in the platform's stack", () => {
  it("gets exactly the rights in deploy/rights, and may not change its own roles", async () => {
    const { byType, one } = await run(SERVICE);
    const roles = byType("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole").filter(({ name }) =>
      name.startsWith("control-plane"),
    );
    const inFile = rolesInFile();
    for (const { metadata, kind, rules } of inFile) {
      const made =
        kind === "Role"
          ? one("kubernetes:rbac.authorization.k8s.io/v1:Role", "control-plane")
          : roles.find(({ name }) => name === `control-plane-${metadata.name}`);
      const given = made?.inputs["rules"] as typeof rules;
      assert.deepEqual(given.slice(0, rules.length), rules, metadata.name);
      for (const { verbs, resourceNames } of given.slice(rules.length)) {
        assert.deepEqual(verbs, ["get"]);
        assert.deepEqual(resourceNames, ["rdev-infra:staging", "rdev-infra-doctor:staging"]);
      }
    }
    assert.equal(roles.length + 1, inFile.length);
    const claim = one("kubernetes:ClusterClaim").inputs;
    assert.deepEqual(claim["namespaces"], ["rdev-infra-service"]);
    const claimed = claim["clusterRoles"] as string[];
    for (const { inputs } of roles) {
      assert.ok(claimed.includes((inputs["metadata"] as { name: string }).name));
    }
  });

  it("is reached through the ingress alone, by TLS, at a name of the platform's zone", async () => {
    const tls = JSON.stringify({ clusterIssuer: "letsencrypt" });
    const config = { ...PLATFORM, service: JSON.stringify(SERVICE), tls };
    const { one } = await run(SERVICE, {}, { config });
    const ingress = one("kubernetes:networking.k8s.io/v1:Ingress").inputs as {
      metadata: { annotations: Record<string, string> };
      spec: { tls: unknown };
    };
    assert.equal(ingress.metadata.annotations["cert-manager.io/cluster-issuer"], "letsencrypt");
    assert.deepEqual(ingress.spec.tls, [{ hosts: [SERVICE.host], secretName: "rdev-infra-tls" }]);
    assert.equal(one("dns:Record").inputs["name"], SERVICE.host);
    const { ingress: from, egress } = one(
      "kubernetes:networking.k8s.io/v1:NetworkPolicy",
      "control-plane",
    ).inputs["spec"] as { ingress: unknown; egress: unknown };
    assert.deepEqual(from, [
      {
        from: ["kube-system", "monitoring"].map((name) => ({
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } },
        })),
        ports: [{ protocol: "TCP", port: 8080 }],
      },
    ]);
    assert.match(JSON.stringify(egress), /"0\.0\.0\.0\/0","except":\["169\.254\.0\.0\/16"\]/);
  });

  it("makes no DNS record for a host outside of the platform's zone", async () => {
    const { byType } = await run({ ...SERVICE, host: "infra.example.test" });
    assert.deepEqual(byType("dns:Record"), []);
  });

  it("is monitored by the Prometheus Operator where the cluster has its kinds", async () => {
    const type = (kind: string) => `kubernetes:monitoring.coreos.com/v1:${kind}`;
    const monitoringLabels = { release: "prometheus" };
    const both = await run({ ...SERVICE, monitoringLabels });
    for (const kind of ["ServiceMonitor", "PrometheusRule"]) {
      const { labels } = both.one(type(kind)).inputs["metadata"] as { labels: object };
      assert.equal((labels as Record<string, string>)["release"], "prometheus");
    }
    const { selector } = both.one(type("ServiceMonitor")).inputs["spec"] as {
      selector: { matchLabels: Record<string, string> };
    };
    const service = both.one("kubernetes:core/v1:Service").inputs["metadata"] as {
      labels: Record<string, string>;
    };
    for (const [label, value] of Object.entries(selector.matchLabels)) {
      assert.equal(service.labels[label], value);
    }
    for (const served of [[], [SERVICE_MONITOR], [PROMETHEUS_RULE]]) {
      const { byType } = await run(SERVICE, {}, { served });
      const made = ["ServiceMonitor", "PrometheusRule"].filter((k) => byType(type(k)).length > 0);
      assert.deepEqual(
        made,
        served.map((kind) => kind.split("/").at(-1)),
      );
    }
  });

  it("has alerts and a dashboard of metrics that the service exports, and the agent's alerts of the page", async () => {
    const { one } = await run(SERVICE);
    const { data } = one("kubernetes:core/v1:ConfigMap", "control-plane-dashboard").inputs as {
      data: Record<string, string>;
    };
    const sources = await Promise.all(
      ["automation/service/metrics.ts", "automation/audit/outbox.ts"].map((file) =>
        readFile(new URL(`../../${file}`, import.meta.url), "utf8"),
      ),
    );
    const own = [...sources.join("\n").matchAll(/name: "(rdev_\w+)"/g)].map(([, name]) => name);
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    const exported = new Set([...own, ...registry.getMetricsAsArray().map(({ name }) => name)]);
    const expressions = [
      data["rdev-infra-staging.json"] ?? "",
      ...serviceAlerts("n").map(({ expression }) => expression),
    ].join("\n");
    const used = [...expressions.matchAll(/\b(?:rdev|process|nodejs)_\w+/g)].map(([name]) => name);
    assert.ok(used.length > 15);
    for (const name of used) {
      assert.ok(exported.has(name.replace(/_seconds_(count|bucket|sum)$/, "_seconds")), name);
    }

    const operations = await readFile(new URL("../../docs/operations.md", import.meta.url), "utf8");
    assert.deepEqual(
      [...operations.matchAll(/^\| `(Rdev\w+)`/gm)].map(([, name]) => name),
      serviceAlerts("n").map(({ name }) => name),
    );
    const page = await readFile(new URL("../../docs/agent.md", import.meta.url), "utf8");
    const documented = [...page.matchAll(/^\|.*\| `([^`]*\bfluentbit_[^`]*)`/gm)];
    const alerts = AGENT_ALERTS.map(({ expression }) => expression);
    assert.equal(documented.length, alerts.length);
    for (const [, expression = ""] of documented) {
      assert.ok(
        alerts.some((alert) => alert.startsWith(expression)),
        expression,
      );
    }
  });
});
