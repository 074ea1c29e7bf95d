/**
 * Stands in for kaniko's executor in the box of a step: builds the image of a Dockerfile from programs
 * of this machine, and pushes it with the account in /kaniko/.docker/config.json.
 *
 * It takes kaniko's options --context, --dockerfile, --destination and --digest-file
 * (https://github.com/GoogleContainerTools/kaniko#additional-flags). The sandbox adds --push-to.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { z } from "zod";
import { isLoopback } from "../../core/address.ts";
import { InfraError, userMessage } from "../../core/errors.ts";
import type { Account } from "../../core/registry.ts";
import { Blobs } from "../images/blobs.ts";
import { buildDockerfile } from "../images/dockerfile/build.ts";
import { pushImage } from "../images/push.ts";

const ACCOUNTS = "/kaniko/.docker/config.json";

const accountsSchema = z.object({
  auths: z.record(z.string(), z.object({ auth: z.base64() })).default({}),
});

interface Destination {
  /** `host:port`. */
  readonly host: string;
  readonly repository: string;
  readonly tag: string;
}

const program = new Command("executor")
  .requiredOption("--context <folder>", "the folder with the sources")
  .option("--dockerfile <path>", "relative to the context", "Dockerfile")
  .requiredOption("--destination <image...>", "the image to push, with its host and tag")
  .option("--digest-file <path>", "the file for the digest of the pushed image")
  .option("--push-to <host=url>", "push images of this host to this registry")
  .parse();
const options = program.opts<{
  context: string;
  dockerfile: string;
  destination: string[];
  digestFile?: string;
  pushTo?: string;
}>();

const folder = await mkdtemp(join(tmpdir(), "executor-"));
try {
  const destinations = options.destination.map(destinationOf);
  const image = await buildDockerfile({
    context: options.context.replace(/^dir:\/\//, ""),
    dockerfile: options.dockerfile,
    folder,
    blobs: new Blobs(join(folder, "blobs")),
    log: (text) => process.stdout.write(text),
  });
  for (const destination of destinations) {
    const { host, repository, tag } = destination;
    const account = await accountOf(host);
    const digest = await pushImage(image, { url: urlOf(host), repository, tag, account });
    console.log(`Pushed ${host}/${repository}@${digest}`);
    if (options.digestFile !== undefined) await writeFile(options.digestFile, digest);
  }
} catch (error) {
  console.error(`error building image: ${userMessage(error)}`);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

function destinationOf(image: string): Destination {
  const [, host, repository, tag = "latest"] =
    /^([^/]+)\/([^:@]+)(?::([\w][\w.-]*))?$/.exec(image) ?? [];
  if (host === undefined || repository === undefined) {
    const example = "registry.example.com/my-app:1";
    throw new InfraError("RDEV_SANDBOX", `"${image}" is not a destination, such as ${example}.`);
  }
  return { host, repository, tag };
}

/** Like kaniko, uses HTTP for a registry on this machine. */
function urlOf(host: string): string {
  const [, mappedHost, url] = /^([^=]+)=(.+)$/.exec(options.pushTo ?? "") ?? [];
  if (url !== undefined && host === mappedHost) return url;
  return `${isLoopback(new URL(`http://${host}`).hostname) ? "http" : "https"}://${host}`;
}

async function accountOf(host: string): Promise<Account> {
  const text = await readFile(ACCOUNTS, "utf8").catch(() => "{}");
  const auth = accountsSchema.parse(JSON.parse(text)).auths[host]?.auth;
  const [, username, password] =
    /^([^:]+):(.*)$/s.exec(Buffer.from(auth ?? "", "base64").toString()) ?? [];
  if (username === undefined || password === undefined) {
    throw new InfraError("RDEV_SANDBOX", `${ACCOUNTS} has no account for ${host}.`);
  }
  return { username, password };
}
