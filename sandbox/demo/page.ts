import type { SandboxNode } from "../cluster.ts";
import { until } from "../process.ts";
import { applicationEnvironment, type DeployedProject } from "../proofs/project.ts";
import { type Evidence, expect } from "../proofs/proofs.ts";
import pg from "pg";
import { serviceUrl } from "./deployed-pods.ts";
import { visit } from "./visits.ts";

/** The home page of the template `skeleton`. */
interface Page {
  readonly title: string;
  /** From PostgreSQL. */
  readonly visits: number;
  /** From Redis, where it stays for 10 s. */
  readonly slow: string;
}

/** The page of an answer's body; undefined for another body. */
export function parsePage(body: string): Page | undefined {
  const [, title, visits, slow] = /^(.+)\nvisits: (\d+)\nslow result: (.+)\n$/.exec(body) ?? [];
  if (title === undefined || visits === undefined || slow === undefined) return undefined;
  return { title, visits: Number(visits), slow };
}

/** Asks for the page twice: it counts visits in the database, and keeps a value in the cache. */
export async function provePage(project: DeployedProject, node: SandboxNode): Promise<Evidence> {
  const url = await serviceUrl(project);
  let evidence: string[] = [];
  // kube-proxy learns a moment later than the API server that the placeholder is gone.
  await until(async () => {
    const answers = await visit(node, { url, perSecond: 2, count: 2 });
    const [first, second] = answers.map((one) => ("body" in one ? parsePage(one.body) : undefined));
    expect(first && second, `${url} answers with the project's page: ${JSON.stringify(answers)}`);
    expect(first.title === project.slug, "the page is the project's");
    expect(second.visits === first.visits + 1, "the database counts the visits");
    expect(second.slow === first.slow, "the cache keeps the slow result");
    evidence = [
      `GET ${url}: "${first.title}"`,
      `PostgreSQL: visits ${first.visits}, then ${second.visits}; Redis: "${first.slow}", twice`,
    ];
  });
  return evidence;
}

/** Sends requests to the project. During one of them, its database refuses to count the visit. */
export async function visitWithFailure(
  project: DeployedProject,
  node: SandboxNode,
  count: number,
): Promise<void> {
  const url = await serviceUrl(project);
  const { DATABASE_URL: connectionString } = await applicationEnvironment(project);
  const database = new pg.Client({ connectionString });
  await database.connect();
  try {
    await visit(node, { url, perSecond: 10, count: count - 1 });
    await database.query("REVOKE INSERT ON visits FROM CURRENT_USER");
    await visit(node, { url, perSecond: 10, count: 1 });
    await database.query("GRANT INSERT ON visits TO CURRENT_USER");
  } finally {
    await database.end();
  }
}
