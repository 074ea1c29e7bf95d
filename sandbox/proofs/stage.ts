import { KubeConfig } from "@kubernetes/client-node";
import { request } from "undici";

/** The project that is looked at, and how to reach the servers it is on. */
export interface Stage {
  readonly slug: string;
  readonly name: string;
  readonly organization: string;
  readonly domain: string;
  /** `host:port` of the DNS server. */
  readonly dns: string;
  readonly tenantId: string;
  /** The sandbox's variables. */
  readonly env: Readonly<Record<string, string>>;
}

/** What a proof saw, a line each. A proof throws where it did not see what it must. */
export type Sight = readonly string[];

export function variable(stage: Pick<Stage, "env">, name: string): string {
  const value = stage.env[name];
  if (!value) throw new Error(`${name} is not among the sandbox's variables`);
  return value;
}

/** An API's JSON answer; throws for every other status than the one that is expected. */
export async function json<T>(
  url: string,
  headers: Record<string, string>,
  { method = "GET", status = 200, body }: { method?: string; status?: number; body?: unknown } = {},
): Promise<T> {
  const answer = await request(url, {
    method: method as "GET",
    headers: { ...headers, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.body.text();
  if (answer.statusCode !== status) {
    throw new Error(`${method} ${new URL(url).pathname} answered ${answer.statusCode}: ${text}`);
  }
  return (text ? JSON.parse(text) : undefined) as T;
}

export function kubeConfig(stage: Pick<Stage, "env">): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(variable(stage, "KUBECONFIG"));
  return config;
}

export function expect(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new Error(`Not so: ${sentence}`);
}

/** The message of the error that a promise ends with; throws when it succeeds. */
export async function refusal(promise: Promise<unknown>, what: string): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`Not refused: ${what}`);
}
