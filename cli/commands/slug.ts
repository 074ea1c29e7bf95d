import type { Command } from "commander";
import { slugFromName } from "../../core/slug.ts";

export function addSlug(program: Command): void {
  program
    .command("slug <name>")
    .description("print the slug of a project's name")
    .action((name: string) => {
      console.log(slugFromName(name));
    });
}
