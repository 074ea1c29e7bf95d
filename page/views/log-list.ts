import { html } from "htm/preact";
import { h, type VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { LogLine } from "../../automation/service/schemas/logs.ts";
import { announce } from "../lib/announce.ts";
import type { LogLines } from "../lib/log-lines.ts";
import { logAddress, type LogSearch, narrowed } from "../lib/log-search.ts";
import { placed, useVisibleRows } from "../lib/rows.ts";

/** Each level has a sign and its name, because a colour alone says nothing to some people. */
const SIGNS: Readonly<Record<string, string>> = {
  error: "✕",
  warn: "▲",
  info: "●",
  debug: "○",
  trace: "·",
};

export interface LogListProps extends LogLines {
  readonly slug: string;
  readonly search: LogSearch;
}

/** The lines, of which one can be opened. */
export function LogList({ slug, search, ...log }: LogListProps): VNode {
  const { lines, added, hasOlder, tail } = log;
  const [openId, setOpenId] = useState<string>();
  const { scroller, first, end, isAtEnd, onScroll, show } = useVisibleRows({
    count: lines.length,
    added,
    onStart: log.loadOlder,
  });
  // A list that fits needs no scrolling, so nothing else would load the older lines.
  useEffect(() => {
    const element = scroller.current;
    if (element && hasOlder && element.scrollHeight <= element.clientHeight) log.loadOlder();
  }, [lines.length, hasOlder]);

  const at = openId === undefined ? -1 : lines.findIndex(({ id }) => id === openId);
  const open = (index: number) => {
    const line = lines[index];
    if (!line) return;
    setOpenId(line.id);
    show(index);
    announce(`${line.level}, ${line.message}`);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const last = lines.length - 1;
    const target = {
      ArrowDown: at < 0 ? last : Math.min(at + 1, last),
      ArrowUp: at < 0 ? last : Math.max(at - 1, 0),
      Home: 0,
      End: last,
    }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      open(target);
    } else if (event.key === "Escape") setOpenId(undefined);
  };

  const rows = lines.slice(first, end).map(
    (line, index) =>
      html`<div
        key=${line.id}
        class="line ${line.id === openId ? "is-open" : ""}"
        onClick=${() => open(first + index)}
      >
        <span class="time">${clock(line.timestamp)}</span>
        <span class="level ${line.level}">
          <span aria-hidden="true">${SIGNS[line.level] ?? "?"}</span> ${line.level}
        </span>
        <span class="service">${line.service}</span>
        <span class="message">${oneLine(line.message)}</span>
      </div>`,
  );
  const opened = lines[at];
  return html`<div class="log">
    <div
      class="lines"
      ref=${scroller}
      role="log"
      aria-label="Log lines"
      aria-live=${tail === "connected" && isAtEnd ? "polite" : "off"}
      aria-describedby="log-keys"
      tabindex="0"
      onScroll=${onScroll}
      onKeyDown=${onKeyDown}
    >
      ${placed(rows, first, lines.length)}
    </div>
    <p id="log-keys" class="hint">
      The arrow keys open the line before or after, Escape closes it.
    </p>
    ${opened && h(Line, { line: opened, slug, search })}
  </div>`;
}

interface LineProps {
  readonly line: LogLine;
  readonly slug: string;
  readonly search: LogSearch;
}

/** All of a line. Each field leads to the lines with the same value. */
function Line({ line, slug, search }: LineProps): VNode {
  const { level, service, message, timestamp, fields } = line;
  const only = (field: string, value: unknown) =>
    html`<a href=${logAddress(slug, { ...search, q: narrowed(search.q, field, value) })}
      >only these<span class="unseen"> with ${field} ${asText(value)}</span></a
    >`;
  const entries = Object.entries({ level, service, ...fields }).filter(
    ([, value]) => value !== null && value !== "",
  );
  return html`<section class="details" aria-label="The open line">
    <p>
      <span class="level ${level}"
        ><span aria-hidden="true">${SIGNS[level] ?? "?"}</span> ${level}</span
      >${" "}
      <time datetime=${timestamp}>${timestamp}</time>
    </p>
    <pre>${message}</pre>
    <dl>
      ${entries.map(
        ([field, value]) =>
          html`<div>
            <dt>${field}</dt>
            <dd><code>${asText(value)}</code> ${isSimple(value) && only(field, value)}</dd>
          </div>`,
      )}
    </dl>
  </section>`;
}

function isSimple(value: unknown): boolean {
  return typeof value !== "object";
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The time of day in UTC, as in the line. */
function clock(timestamp: string): string {
  return timestamp.slice(11, 23);
}

/** Terminal colours and line breaks would disturb the row. */
function oneLine(text: string): string {
  return text.replaceAll(/\u001b\[[\d;]*m/g, "").replaceAll(/\s+/g, " ");
}
