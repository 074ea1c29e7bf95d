import type { Command } from "commander";
import type { Finding } from "../../automation/citadel/check.ts";
import { PACKAGE } from "../../automation/engine/folders.ts";
import type { Project } from "../../automation/store/projects.ts";
import { PROJECTS_GROUP } from "../../core/citadel.ts";
import { withStore } from "../database.ts";
import { EXIT } from "../exit-codes.ts";
import { workFolder } from "../operation.ts";

interface CheckOptions {
  readonly mend?: true;
  readonly deleteOrphan: readonly string[];
  readonly json?: true;
}

export function addCitadel(program: Command): void {
  const citadel = program.command("citadel").description("Citadel's environments");
  citadel
    .command("check")
    .description(
      "compare the environments that rdev-infra made with the projects; exits with 1 if they differ",
    )
    .option("--mend", "store the tenant ids that Citadel has; changes nothing in Citadel")
    .option(
      "--delete-orphan <slug>",
      "delete an environment without a project, and its logs; repeatable",
      (slug: string, collected: readonly string[]) => [...collected, slug],
      [],
    )
    .option("--json", "print each difference as JSON")
    .action(check);
}

export function addAgent(program: Command): void {
  program
    .command("agent")
    .description("the log agent on the nodes")
    .command("replay <folder>")
    .description(
      "send the events that an agent set aside to Citadel; the folder is a node's " +
        "/var/lib/citadel-agent/chunks/rejected or a copy of it; exits with 1 if any event is kept",
    )
    .option(
      "--discard-orphaned",
      "delete the events for environments that Citadel does not have, as after a destroy",
    )
    .action(replay);
}

async function check({ mend, deleteOrphan: slugs, json }: CheckOptions): Promise<void> {
  const { checkCitadel, deleteOrphan, repairIds } =
    await import("../../automation/citadel/check.ts");
  const { Projects } = await import("../../automation/store/projects.ts");
  const { assertSees, Citadel } = await import("../../providers/citadel/client.ts");
  await withStore(async (store) => {
    const stacks = async () => {
      // Pulumi's SDK loads slowly, and is only needed if there may be an orphan.
      const { backendStacks } = await import("../../automation/engine/backend-stacks.ts");
      return backendStacks(workFolder(undefined) ?? PACKAGE);
    };
    const options = { citadel: new Citadel(), projects: new Projects(store), stacks };
    const assertVisible = async ({ platform, slug }: Project) => {
      const { platformSettingsOf } = await import("../../automation/engine/requirements.ts");
      const name = { kind: "project", platform, slug } as const;
      const { citadelOrganization } = await platformSettingsOf(name, workFolder(undefined));
      const proof = { organization: citadelOrganization, group: PROJECTS_GROUP };
      await assertSees(options.citadel, proof);
    };
    for (const slug of slugs) await deleteOrphan(options, slug);
    const findings = await checkCitadel(options);
    const mended = new Set(mend ? await repairIds(options.projects, findings, assertVisible) : []);
    for (const finding of findings) {
      const line = { ...finding, mended: mended.has(finding) };
      console.log(json ? JSON.stringify(line) : findingText(finding, line.mended));
    }
    if (findings.length === 0 && !json) console.log("Citadel and the projects agree.");
    if (mended.size < findings.length) process.exitCode = EXIT.failed;
  });
}

function findingText(finding: Finding, mended: boolean): string {
  const { slug } = finding;
  const suffix = mended ? " Fixed." : "";
  switch (finding.kind) {
    case "orphan":
      return (
        `${slug}: environment ${finding.tenantId} belongs to no project. To delete it with its ` +
        `logs: --delete-orphan ${slug}`
      );
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
        `To create one, run rdev-infra refresh, then up.${suffix}`
      );
  }
}

interface ReplayOptions {
  readonly discardOrphaned?: true;
}

async function replay(folder: string, { discardOrphaned }: ReplayOptions): Promise<void> {
  const [{ replayRejected }, { Citadel }] = await Promise.all([
    import("../../automation/agent/replay.ts"),
    import("../../providers/citadel/client.ts"),
  ]);
  const { files, accepted, refused, orphaned } = await replayRejected(folder, new Citadel(), {
    discardOrphaned: discardOrphaned ?? false,
  });
  console.log(`${files} files: ${accepted} events accepted, ${refused} refused`);
  if (orphaned > 0) {
    const outcome = discardOrphaned ? "deleted" : "kept; --discard-orphaned deletes them";
    console.log(`${orphaned} events for environments that Citadel does not have: ${outcome}`);
  }
  if (refused > 0 || (orphaned > 0 && !discardOrphaned)) process.exitCode = EXIT.failed;
}
