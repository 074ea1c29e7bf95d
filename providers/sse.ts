/** One event of a stream of server-sent events. */
export interface ServerSentEvent {
  /** Default: `message`. */
  readonly type: string;
  readonly data: string;
  /** The last that was told. */
  readonly id: string;
}

/**
 * Reads a stream by the rules of https://html.spec.whatwg.org/multipage/server-sent-events.html.
 * undici's EventSource has no headers and no errors, and connects again by itself. An event that the
 * end cuts off is left out, as the rules say.
 */
export async function* serverSentEvents(
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerSentEvent> {
  let type = "";
  let id = "";
  let data: string[] = [];
  for await (const line of linesOf(bytes)) {
    if (line === "") {
      if (data.length > 0) yield { type: type || "message", data: data.join("\n"), id };
      type = "";
      data = [];
      continue;
    }
    const [, field = "", value = ""] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line) ?? [];
    if (field === "data") data.push(value);
    else if (field === "event") type = value;
    else if (field === "id" && !value.includes("\0")) id = value;
  }
}

/** Lines that end in CR LF, LF or CR; without the last where it has no end. */
async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder(); // takes a byte order mark away
  let rest = "";
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk, { stream: true });
    // A CR at the end may be the first half of a CR LF.
    for (let end; (end = /\r\n|\n|\r(?!$)/.exec(rest));) {
      yield rest.slice(0, end.index);
      rest = rest.slice(end.index + end[0].length);
    }
  }
}
