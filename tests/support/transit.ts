import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { TEST_FAMILIES } from "../../sandbox/tool-families.ts";
import { buildTools } from "../../sandbox/tools.ts";
import { freePort } from "./free-port.ts";

/** A server with the transit engine of Vault, and one key. */
export interface Transit {
  /** The variables that Pulumi's provider `hashivault` reads. */
  readonly variables: Readonly<Record<"VAULT_SERVER_URL" | "VAULT_SERVER_TOKEN", string>>;
  /** The secrets provider. */
  readonly key: string;
  stop(): Promise<void>;
}

const KEY = "rdev";

/** Builds the server first, if it is not in the cache. */
export async function startTransit(): Promise<Transit> {
  const { transit } = await buildTools(
    { transit: TEST_FAMILIES.transit },
    { report: () => undefined },
  );
  const token = randomBytes(16).toString("hex");
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(transit.program("transit"), [address], {
    env: { TRANSIT_TOKEN: token },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  const answer = await fetch(`http://${address}/v1/transit/keys/${KEY}`, {
    method: "PUT",
    headers: { "x-vault-token": token },
    body: "{}",
  });
  if (!answer.ok) throw new Error(`the server answers ${answer.status}: ${await answer.text()}`);
  return {
    variables: { VAULT_SERVER_URL: `http://${address}`, VAULT_SERVER_TOKEN: token },
    key: `hashivault://${KEY}`,
    stop: async () => {
      child.kill();
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}
