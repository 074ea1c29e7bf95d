import { z } from "zod";

export const templateSchema = z
  .object({
    name: z.string().meta({ examples: ["skeleton"] }),
    version: z.string(),
    isDefault: z.boolean().meta({
      description: "Whether a project has it whose settings name no template.",
    }),
    readme: z.string().optional().meta({
      description: "Its README.md, in Markdown, with the template's variables as they are.",
    }),
  })
  .meta({ id: "Template" });

export type TemplateView = z.output<typeof templateSchema>;
