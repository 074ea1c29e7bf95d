import { z } from "zod";
import type { SandboxNode } from "../cluster.ts";
import { type DeployedProject, json, variable } from "../proofs/project.ts";
import { type Evidence, expect } from "../proofs/proofs.ts";
import { onlyCurrentPods, serviceUrl } from "./deployed-pods.ts";
import { parsePage } from "./page.ts";
import { followPipeline } from "./pipeline.ts";
import { startVisits, type Visits } from "./visits.ts";

const PER_SECOND = 50;
const FILE = "http.go";
const ADDED = ", second version";

/**
 * Pushes a commit that changes the page's title. Its pipeline rolls it out while a client sends
 * requests through the Service. Each must be answered, by the old version or by the new one.
 */
export async function proveRollout(project: DeployedProject, node: SandboxNode): Promise<Evidence> {
  const { slug } = project;
  const url = await serviceUrl(project);
  await changeTitle(project);
  let visits: Visits | undefined;
  const pipeline = await followPipeline(project, {
    number: 2,
    onStep: (name) => {
      if (name === "deploy") visits = startVisits(node, { url, perSecond: PER_SECOND });
    },
  });
  await onlyCurrentPods(project);
  const answers = (await visits?.stop()) ?? [];
  const titles = answers.map((one) =>
    "body" in one && one.status === 200 ? parsePage(one.body)?.title : undefined,
  );
  const old = titles.filter((title) => title === slug).length;
  const current = titles.filter((title) => title === slug + ADDED).length;
  const refused = answers.filter((_, index) => titles[index] === undefined);
  expect(refused.length === 0, `each request is answered (${JSON.stringify(refused.slice(0, 5))})`);
  expect(old > 0 && current > 0, `both versions answer (${old} and ${current} requests)`);
  return [
    pipeline,
    `${answers.length} requests, ${PER_SECOND} a second, each on a new connection: ` +
      `${old} answered by the old version, ${current} by the new one, 0 refused`,
  ];
}

/** Commits to the project's repository, through Gitea's API. */
async function changeTitle(project: DeployedProject): Promise<void> {
  const { organization, slug } = project;
  const url = `${variable(project, "GITEA_URL")}/api/v1/repos/${organization}/${slug}/contents/${FILE}`;
  const headers = { authorization: `token ${variable(project, "GITEA_TOKEN")}` };
  const { sha, content } = z
    .object({ sha: z.string(), content: z.base64() })
    .parse(await json<unknown>(url, headers));
  const source = Buffer.from(content, "base64").toString();
  const changed = source.replace(`"${slug}\\n`, `"${slug}${ADDED}\\n`);
  expect(changed !== source, `${FILE} has the page's title`);
  const body = {
    sha,
    content: Buffer.from(changed).toString("base64"),
    message: "Change the title",
  };
  await json(url, headers, { method: "PUT", body });
}
