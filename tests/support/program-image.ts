import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Blobs } from "../../sandbox/images/blobs.ts";
import { buildDockerfile } from "../../sandbox/images/dockerfile/build.ts";
import type { Image } from "../../sandbox/images/image.ts";

const DOCKERFILE = `FROM golang:1.26 AS build
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 go build -o /app .
FROM scratch
COPY --from=build /app /app
USER 65532:65532
ENTRYPOINT ["/app"]
`;

/** Programs that do not come up, or not for long. None of them uses more than the standard library. */
const PROGRAMS = {
  /** Ends with exit code 3. */
  crashes: `package main

import "os"

func main() {
	os.Exit(3)
}
`,
  /** Uses memory without end, so the kernel kills it at its limit. */
  hungry: `package main

var kept [][]byte

func main() {
	for {
		block := make([]byte, 8<<20)
		for i := range block {
			block[i] = 1
		}
		kept = append(kept, block)
	}
}
`,
  /** Runs, but answers no probe. */
  silent: `package main

import "time"

func main() {
	time.Sleep(24 * time.Hour)
}
`,
} as const;

/** Builds the image of a program, with this machine's Go. */
export async function programImage(folder: string, program: keyof typeof PROGRAMS): Promise<Image> {
  const context = await mkdtemp(join(folder, `${program}-`));
  try {
    await writeFile(join(context, "go.mod"), "module example.test/app\n\ngo 1.26\n");
    await writeFile(join(context, "main.go"), PROGRAMS[program]);
    await writeFile(join(context, "Dockerfile"), DOCKERFILE);
    return await buildDockerfile({ context, folder, blobs: new Blobs(folder) });
  } finally {
    await rm(context, { recursive: true });
  }
}
