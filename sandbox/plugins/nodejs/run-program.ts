/** Runs a program in its own Node.js process, by the runner of the program's SDK. */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { RunRequest } from "@pulumi/pulumi/proto/language_pb.js";

type Options = { typescript?: boolean; nodeargs?: string };

/** Resolves with the exit code, or the signal that ended the program. */
export async function runProgram(
  request: RunRequest,
  engineAddress: string,
  signal: AbortSignal,
): Promise<number | string> {
  const info = request.getInfo();
  const folder = info?.getProgramDirectory() || request.getPwd();
  const options = (info?.getOptions()?.toJavaScript() ?? {}) as Options;
  if (options.typescript !== false) {
    throw new Error(
      "the stand-in for the language host leaves TypeScript to Node.js: set `runtime: {name: nodejs, " +
        "options: {typescript: false}}` in Pulumi.yaml, or use the official language host",
    );
  }
  const runner = createRequire(join(folder, "package.json")).resolve("@pulumi/pulumi/cmd/run");
  const args = [
    ...(options.nodeargs?.split(" ").filter((arg) => arg !== "") ?? []),
    runner,
    ...runnerArguments(request, engineAddress),
    info?.getEntryPoint() || request.getProgram() || ".",
    ...request.getArgsList(),
  ];
  const child = spawn(process.execPath, args, {
    cwd: folder,
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      // In variables, because every user of the machine can read arguments.
      PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().entries())),
      PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
      PULUMI_NODEJS_TYPESCRIPT: "false",
    },
    signal,
    killSignal: "SIGINT",
  });
  process.on("exit", () => child.kill());
  return new Promise((resolve, reject) => {
    child.on("error", (error) => {
      if (error.name !== "AbortError") reject(error);
    });
    child.on("exit", (code, killedBy) => resolve(code ?? killedBy ?? "an unknown signal"));
  });
}

function runnerArguments(request: RunRequest, engineAddress: string): string[] {
  const flags: Record<string, string> = {
    monitor: request.getMonitorAddress(),
    engine: engineAddress,
    organization: request.getOrganization(),
    project: request.getProject(),
    "root-directory": request.getInfo()?.getRootDirectory() ?? "",
    stack: request.getStack(),
    pwd: request.getPwd(),
    parallel: String(request.getParallel()),
  };
  const given = Object.entries(flags).filter(([, value]) => value !== "");
  return [
    ...given.map(([name, value]) => `--${name}=${value}`),
    ...(request.getDryrun() ? ["--dry-run"] : []),
  ];
}
