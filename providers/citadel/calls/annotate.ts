import type { Http } from "../../http.ts";
import type { Annotation } from "../port.ts";

export async function annotate(
  http: Http,
  { logId, content, type = "note", author = "system" }: Annotation,
): Promise<void> {
  const json = {
    log_id: logId,
    content: content.toWellFormed(),
    annotation_type: type,
    author_type: author,
  };
  await http.send("POST", "/annotations", { json });
}
