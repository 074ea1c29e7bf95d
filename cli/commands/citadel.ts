import type { Command } from "commander";
import type { Finding } from "../../automation/citadel/check.ts";
import { PACKAGE } from "../../automation/engine/package.ts";
import { EXIT } from "../exit-codes.ts";
import { workFolder } from "../operation.ts";
import { withStore } from "../with-store.ts";

interface CheckOptions {
  readonly mend?: true;
  readonly deleteOrphan: readonly string[];
  readonly json?: true;
}

export function addCitadel(program: Command): void {
  const citadel = program.command("citadel").description("Citadel, beside what stacks do there");
  citadel
    .command("check")
    .description(
      "compare the environments that rdev-infra made with the projects; exits with 1 when they differ",
    )
    .option("--mend", "store the tenant ids that Citadel has; changes nothing in Citadel")
    .option(
      "--delete-orphan <slug>",
      "delete an environment of no project, with its logs; repeatable",
      (slug: string, sofar: readonly string[]) => [...sofar, slug],
      [],
    )
    .option("--json", "each difference as JSON")
    .action(check);
}

async function check({ mend, deleteOrphan: slugs, json }: CheckOptions): Promise<void> {
  const { checkCitadel, deleteOrphan, repairIds } =
    await import("../../automation/citadel/check.ts");
  const { Projects } = await import("../../automation/store/projects.ts");
  const { Citadel } = await import("../../providers/citadel/client.ts");
  await withStore(async (store) => {
    const stacks = async () => {
      // Pulumi's SDK loads slowly, and without a possible orphan nobody asks.
      const { backendStacks } = await import("../../automation/engine/backend-stacks.ts");
      return backendStacks(workFolder(undefined) ?? PACKAGE);
    };
    const options = { citadel: new Citadel(), projects: new Projects(store), stacks };
    for (const slug of slugs) await deleteOrphan(options, slug);
    const findings = await checkCitadel(options);
    const mended = new Set(mend ? await repairIds(options.projects, findings) : []);
    for (const finding of findings) {
      const line = { ...finding, mended: mended.has(finding) };
      console.log(json ? JSON.stringify(line) : text(finding, line.mended));
    }
    if (findings.length === 0 && !json) console.log("Citadel and the projects agree.");
    if (mended.size < findings.length) process.exitCode = EXIT.failed;
  });
}

function text(finding: Finding, mended: boolean): string {
  const { slug } = finding;
  const suffix = mended ? " Mended." : "";
  switch (finding.kind) {
    case "orphan":
      return `${slug}: environment ${finding.tenantId} belongs to no project. If its logs may go: --delete-orphan ${slug}`;
    case "unrecorded":
      return (
        `${slug}: environment ${finding.tenantId} belongs to the stack ${finding.stack}, which the ` +
        `database does not know. "rdev-infra up ${finding.stack}" records it.`
      );
    case "unlinked":
      return `${slug}: its environment is ${finding.tenantId}, stored is ${finding.stored ?? "none"}.${suffix}`;
    case "missing":
      return (
        `${slug}: has no environment in Citadel` +
        `${finding.stored === null ? "" : `, stored is ${finding.stored}`}. ` +
        `Its stack makes one: rdev-infra refresh, then up.${suffix}`
      );
  }
}
