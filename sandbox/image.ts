import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { userMessage } from "../core/errors.ts";
import { writeArchive } from "./images/archive.ts";
import { buildServiceImage } from "./service-image/build.ts";

const program = new Command("npm run image --")
  .description("Builds the service's image from local parts, as an OCI archive.")
  .option("--name <name>", "a complete name, with host and tag", "rdev.local/rdev-infra:local")
  .option("--output <file>", "the archive", "rdev-infra-image.tar");

const { name, output } = program.parse().opts<{ name: string; output: string }>();
const folder = await mkdtemp(join(tmpdir(), "rdev-infra-image-"));
try {
  const { image, parts } = await buildServiceImage(join(folder, "blobs"), {
    report: (part, text) => console.error(`${part}: ${text}`),
  });
  await writeArchive(output, { [name]: image });
  for (const part of parts) console.log(`${mebibytes(part.bytes)}  ${part.name}`);
  const total = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(`${mebibytes(total)}  ${name}, ${image.manifest.digest}, in ${output}`);
} catch (error) {
  console.error(userMessage(error));
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1).padStart(7)} MiB`;
}
