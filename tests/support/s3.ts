import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../sandbox/process.ts";
import { TEST_FAMILIES } from "../../sandbox/tool-families.ts";
import { buildTools } from "../../sandbox/tools.ts";
import { freePort } from "./free-port.ts";

/** An S3 server with one bucket. */
export interface S3 {
  /** The variables of Pulumi's backend in the bucket. */
  readonly variables: Readonly<
    Record<
      "PULUMI_BACKEND_URL" | "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_REGION",
      string
    >
  >;
  stop(): Promise<void>;
}

/** Builds the server first, if it is not in the cache. */
export async function startS3(): Promise<S3> {
  const { rclone } = await buildTools(
    { rclone: TEST_FAMILIES.rclone },
    { report: () => undefined },
  );
  const folder = await mkdtemp(join(tmpdir(), "rdev-s3-"));
  await mkdir(join(folder, "states"));
  const [id, secret] = [randomBytes(10).toString("hex"), randomBytes(20).toString("hex")];
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(rclone.program("rclone"), ["serve", "s3", "--addr", address, folder], {
    // A list in the form of CSV, of pairs that a comma separates.
    env: { RCLONE_AUTH_KEY: `"${id},${secret}"`, RCLONE_CONFIG: "/dev/null" },
    stdio: "ignore",
  });
  const url = `http://${address}`;
  await until(async () => void (await (await fetch(url)).arrayBuffer()));
  return {
    variables: {
      PULUMI_BACKEND_URL: `s3://states?endpoint=${url}&s3ForcePathStyle=true`,
      AWS_ACCESS_KEY_ID: id,
      AWS_SECRET_ACCESS_KEY: secret,
      AWS_REGION: "us-east-1",
    },
    stop: async () => {
      child.kill();
      if (child.exitCode === null) await once(child, "exit");
      await rm(folder, { recursive: true });
    },
  };
}
