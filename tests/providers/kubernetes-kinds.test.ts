import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fastify, { type FastifyInstance } from "fastify";
import { Kubernetes } from "../../providers/kubernetes/client.ts";

import { testVariables } from "../support/variables.ts";

const MONITOR = "monitoring.coreos.com/v1/ServiceMonitor";
const RULE = "monitoring.coreos.com/v1/PrometheusRule";

describe("the kinds that a cluster has", () => {
  const set = testVariables();
  let folder: string;
  let server: FastifyInstance;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-kinds-"));
    server = fastify({ forceCloseConnections: true });
  });
  afterEach(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  async function connect(): Promise<Kubernetes> {
    const url = await server.listen({ host: "127.0.0.1", port: 0 });
    const file = join(folder, "kubeconfig");
    const config = {
      clusters: [{ name: "c", cluster: { server: url, "insecure-skip-tls-verify": true } }],
      users: [{ name: "u", user: { token: "planted" } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x",
    };
    await writeFile(file, JSON.stringify(config));
    set({ KUBECONFIG: file });
    return Kubernetes.connect();
  }

  it("are those that its API lists", async () => {
    server.get("/apis/monitoring.coreos.com/v1", async () => ({
      resources: [{ kind: "PodMonitor" }, { kind: "ServiceMonitor" }],
    }));
    assert.deepEqual(await (await connect()).served([MONITOR, RULE]), [MONITOR]);
  });

  it("are none of a group that it does not have", async () => {
    assert.deepEqual(await (await connect()).served([MONITOR, RULE]), []);
  });

  it("are unknown if it does not say, so that nothing is deleted by mistake", async () => {
    server.get("/apis/monitoring.coreos.com/v1", async (_request, reply) =>
      reply.code(403).send({ kind: "Status", message: "no" }),
    );
    await assert.rejects((await connect()).served([MONITOR]), { code: "RDEV_FORBIDDEN" });
  });
});
