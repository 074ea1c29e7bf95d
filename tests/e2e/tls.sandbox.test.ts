import assert from "node:assert/strict";
import { NetworkingV1Api } from "@kubernetes/client-node";
import { destroy, up } from "../../automation/engine/stack.ts";
import { kubeConfig } from "../../sandbox/proofs/project.ts";
import { ownPlatform } from "../support/own-platform.ts";
import { runningSandbox } from "../support/sandbox.ts";
import { succeeded } from "../support/stage.ts";
import { uniqueSlug } from "../support/unique-slug.ts";

const PLATFORM = "certified";
const OFF = { CITADEL_ENABLED: "false" };

describe("a platform's source of certificates", function () {
  this.timeout(400_000);
  let platform: Awaited<ReturnType<typeof ownPlatform>>;

  before(async () => void (platform = await ownPlatform(PLATFORM)));
  after(() => platform.remove());

  it("is given to projects that are already up by an update of their Ingress alone", async () => {
    const slug = uniqueSlug();
    const project = `${PLATFORM}.${slug}`;
    const { workDir } = platform;
    const networking = kubeConfig(runningSandbox()).makeApiClient(NetworkingV1Api);
    const ingress = async () => {
      const live = await networking.readNamespacedIngress({ namespace: slug, name: slug });
      const [tls] = live.spec?.tls ?? [];
      const issuer = live.metadata?.annotations?.["cert-manager.io/cluster-issuer"];
      return { uid: live.metadata?.uid, issuer, hosts: tls?.hosts, secret: tls?.secretName };
    };

    await platform.as(async () => {
      succeeded(await up(PLATFORM, { workDir }));
      succeeded(await up(project, { workDir }));
      const before = await ingress();
      const none = { uid: before.uid, hosts: [`${slug}.staging.rdev.example`] };
      assert.deepEqual(before, { ...none, issuer: undefined, secret: undefined });

      succeeded(await up(PLATFORM, { workDir, config: { tls: { clusterIssuer: "letsencrypt" } } }));
      const { same: _, ...changes } = succeeded(await up(project, { workDir })).changes;
      assert.deepEqual(changes, { create: 0, update: 1, replace: 0, delete: 0 });
      assert.deepEqual(await ingress(), { ...none, issuer: "letsencrypt", secret: `${slug}-tls` });

      succeeded(await up(PLATFORM, { workDir, config: { tls: { secret: "wildcard" } } }));
      succeeded(await up(project, { workDir }));
      assert.deepEqual(await ingress(), { ...none, issuer: undefined, secret: "wildcard" });

      for (const stack of [project, PLATFORM]) {
        succeeded(await destroy(stack, { workDir, remove: true }));
      }
    }, OFF);
  });
});
