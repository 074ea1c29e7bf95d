import { setTimeout } from "node:timers/promises";
import { expect, json, type Sight, type Stage, variable } from "./stage.ts";

/** Sends a log line with the tenant's id, as the agent would, and gets it back by query. */
export async function proveCitadel(stage: Stage): Promise<Sight> {
  const { tenantId, slug } = stage;
  const url = `${variable(stage, "CITADEL_URL")}/api/v1`;
  const admin = { authorization: `Bearer ${variable(stage, "CITADEL_API_KEY")}` };
  const agent = { authorization: `Bearer ${variable(stage, "CITADEL_AGENT_KEY")}` };
  const group = await json<{ tenants: string[] }>(`${url}/tenant-groups/projects`, admin);
  expect(group.tenants.includes(tenantId), "the tenant is a member of the group projects");

  const message = `hello from ${slug}`;
  await json(
    `${url}/ingest`,
    { ...agent, "x-tenant-id": tenantId },
    {
      method: "POST",
      status: 202,
      body: [
        {
          message,
          level: "error",
          timestamp: new Date().toISOString(),
          service: slug,
          environment: slug,
          target: "stdout",
          fields: { component: "proof" },
        },
      ],
    },
  );
  const query = `${url}/query?q=${encodeURIComponent("level:error component:proof")}&range=1h`;
  const deadline = Date.now() + 10_000;
  for (;;) {
    const { entries } = await json<{ entries: { message: string }[] }>(query, {
      ...admin,
      "x-tenant-id": tenantId,
    });
    if (entries.some((entry) => entry.message === message)) break;
    expect(Date.now() < deadline, "the line comes back by query");
    await setTimeout(100);
  }
  return [
    `tenant ${tenantId} in group projects`,
    `"level:error component:proof" finds "${message}"`,
  ];
}
