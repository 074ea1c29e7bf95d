import assert from "node:assert/strict";
import { z } from "zod";
import { AppsV1Api } from "@kubernetes/client-node";
import { ENVIRONMENT_LABEL } from "../../core/labels.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import { PROBER_IMAGE } from "../../sandbox/node/pod-images.ts";
import { sandboxPlatform } from "../../sandbox/platform.ts";
import { until } from "../../sandbox/process.ts";
import { kubeConfig, variable } from "../../sandbox/proofs/project.ts";
import { PLAN_QUERIES, planEvents, type Whose } from "../contract/plan.ts";
import type { AgentOnNode } from "../support/agent-on-node.ts";

const OUTSIDER = "outsider";
/** The name of the pods that write the lines of a test, and their service. */
const SPEAKER = "speaker";
const WORKLOAD = { namespace: "rdev", name: "rdev-api" };
/** In ms. The agent sends every 5 s. */
const ARRIVAL = 90_000;

const entrySchema = z.object({ message: z.string() });

/**
 * Declares the tests of the plan's nine queries. The platform's lines come from a pod of rdev, the
 * project's from a pod of the project, and the actions on the project from the audit trail.
 */
export function itAnswersThePlan(given: () => AgentOnNode, project: string): void {
  describe("answers the plan's queries", () => {
    const CREATED = [`project.create ${project} started`, `project.create ${project} success`];
    const everything = new Set<string>(CREATED);
    const scopes = {
      platform: ["--platform"],
      project: ["--project", project],
      group: ["--group", "projects"],
      organization: ["--all"],
    };

    before(async () => {
      const pods: readonly [Whose, readonly string[], string][] = [
        ["platform", scopes.platform, await startPlatformPod()],
        ["project", scopes.project, await startPod(project, await given().tenantOf(project))],
        ["outsider", scopes.organization, await startPod(OUTSIDER, await startOutsider())],
      ];
      for (const [whose, scope, address] of pods) {
        const events = planEvents(whose).filter(
          ({ fields }) => fields?.["action"] !== "project.create",
        );
        for (const { message, level, timestamp, fields } of events) {
          const line = JSON.stringify({ msg: message, level, time: timestamp, ...fields });
          await given().ask(address, `/log?${new URLSearchParams({ line }).toString()}`);
          everything.add(message);
        }
        const service = whose === "platform" ? WORKLOAD.name : SPEAKER;
        const check = async () => {
          const found = await messages(`service:${service}`, [...scope, "--last", "7d"]);
          for (const { message } of events) assert.ok(found.includes(message), message);
        };
        await until(check, undefined, ARRIVAL);
      }
      await given().run("audit", "ship", "staging", "--once");
    });

    /** Makes rdev's own pod write lines. The platform's stack has labelled its workload. */
    async function startPlatformPod(): Promise<string> {
      const { core, sandbox } = given();
      const { namespace, name } = WORKLOAD;
      const apps = kubeConfig(sandbox).makeApiClient(AppsV1Api);
      await apps.patchNamespacedDeployment({
        namespace,
        name,
        body: [
          { op: "replace", path: "/spec/template/spec/containers/0/image", value: PROBER_IMAGE },
        ],
      });
      let address = "";
      await until(async () => {
        const { items } = await core.listNamespacedPod({
          namespace,
          labelSelector: `app.kubernetes.io/name=${name}`,
        });
        const found = items.find(({ spec }) => spec?.containers[0]?.image === PROBER_IMAGE);
        address = found?.status?.podIP ?? assert.fail("the new pod has no address");
      });
      return serving(address);
    }

    async function startPod(namespace: string, tenant: string): Promise<string> {
      const pod = { namespace, name: SPEAKER, image: PROBER_IMAGE, tenant };
      return serving(await given().createPod(pod));
    }

    async function serving(address: string): Promise<string> {
      await until(() => given().ask(address, "/"));
      return address;
    }

    /** An environment in no group, with a namespace that rdev-infra did not make. */
    async function startOutsider(): Promise<string> {
      const { core, env } = given();
      const citadel = new Citadel({
        url: variable({ env }, "CITADEL_URL"),
        apiKey: variable({ env }, "CITADEL_API_KEY"),
      });
      const { citadelOrganization: organization } = await sandboxPlatform();
      const environment = { slug: OUTSIDER, name: OUTSIDER, organization, metadata: {} };
      const { id } = await citadel.environments.create(environment);
      const metadata = { name: OUTSIDER, labels: { [ENVIRONMENT_LABEL]: id } };
      await core.createNamespace({ body: { metadata } });
      await until(() =>
        core.readNamespacedServiceAccount({ namespace: OUTSIDER, name: "default" }),
      );
      return id;
    }

    async function messages(cpl: string, scope: readonly string[]): Promise<string[]> {
      const output = await given().run("logs", cpl, ...scope, "--limit", "500", "--json");
      return output
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => entrySchema.parse(JSON.parse(line)).message);
    }

    for (const { cpl, scope, last, finds } of PLAN_QUERIES) {
      const options = [...scopes[scope], ...(last ? ["--last", last] : [])];
      it(`rdev-infra logs "${cpl}" ${options.join(" ")}`, async () => {
        // Containers of the node itself write lines, too.
        const found = (await messages(cpl, options)).filter((message) => everything.has(message));
        const expected = finds.flatMap((message) => {
          if (message === "created") return CREATED;
          return message === "created long ago" ? [] : [message];
        });
        assert.deepEqual(found.toSorted(), expected.toSorted());
      });
    }
  });
}
