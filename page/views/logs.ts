import { html } from "htm/preact";
import { h, type TargetedSubmitEvent, type VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { LogHistogram } from "../../automation/service/schemas/logs.ts";
import { announce } from "../lib/announce.ts";
import { useAction } from "../lib/action.ts";
import { type ApiError, call, fetchFile, queryText } from "../lib/api.ts";
import { bars } from "../lib/charts.ts";
import { countText, numberText, sum } from "../lib/format.ts";
import { useLoaded } from "../lib/load.ts";
import { type LogLines, useLogLines } from "../lib/log-lines.ts";
import { apiQuery, logAddress, type LogSearch, RANGES, searchOf } from "../lib/log-search.ts";
import { heading, problem } from "../lib/parts.ts";
import { go } from "../lib/router.ts";
import type { ViewProps } from "../lib/view.ts";
import { LogList } from "./log-list.ts";

const LEVELS = ["error", "warn", "info", "debug", "trace"] as const;
/** While lines arrive. */
const COUNT_EVERY_MS = 15_000;

/** The log lines of a project. */
export function Logs({ params, query }: ViewProps): VNode {
  const { slug = "" } = params;
  const search = searchOf(query);
  const [isPaused, setIsPaused] = useState(false);
  const { isBusy, error: failed, run } = useAction();
  const log = useLogLines(slug, search, isPaused);
  useEffect(() => setIsPaused(false), [search.isLive]);
  const show = (change: Partial<LogSearch>) => go(logAddress(slug, { ...search, ...change }));

  const toggleLive = () => {
    if (!search.isLive) show({ isLive: true, from: undefined, before: undefined });
    else setIsPaused(!isPaused);
  };
  const share = async () => {
    const address = new URL(logAddress(slug, fixed(search)), location.href);
    go(address.pathname + address.search, { replace: true });
    const isCopied = await copied(address.href);
    announce(isCopied ? "The link is copied." : "The address of this page is the link.");
  };

  return html`${heading(
      `Logs of ${slug}`,
      html`<a href="/projects/${slug}">Project</a>
        <div class="actions">
          <button class="button" aria-pressed=${search.isLive && !isPaused} onClick=${toggleLive}>
            ${liveText(search, isPaused)}
          </button>
          ${search.isLive && html`<button class="button" onClick=${() => show({ isLive: false })}>Stop</button>`}
          <button class="button" onClick=${share}>Copy link</button>
          <button
            class="button"
            aria-disabled=${isBusy}
            onClick=${() => run(() => save(slug, search))}
          >
            Download
          </button>
        </div>`,
    )}
    ${h(SearchForm, { key: JSON.stringify(search), search, error: log.error, onSearch: show })}
    ${problem(failed)} ${h(Counts, { slug, search })}
    <p class="status" role="status">${statusText(log, search, isPaused)}</p>
    ${h(LogList, { ...log, slug, search })}`;
}

interface SearchFormProps {
  readonly search: LogSearch;
  readonly error: ApiError | undefined;
  readonly onSearch: (change: Partial<LogSearch>) => void;
}

function SearchForm({ search, error, onSearch }: SearchFormProps): VNode {
  const input = useRef<HTMLInputElement>(null);
  const mistake = error?.code === "RDEV_QUERY" ? error : undefined;
  const position = mistake?.items[0]?.position;
  useEffect(() => {
    if (!mistake) return;
    input.current?.focus();
    if (position !== undefined) input.current?.setSelectionRange(position, position + 1);
  }, [mistake]);
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const text = (name: string) => {
      const value = data.get(name);
      return typeof value === "string" ? value.trim() : "";
    };
    const range = text("range");
    onSearch({
      q: text("q") || "*",
      ...(range !== "" && { range, from: undefined, before: undefined }),
    });
  };
  const { q, range, from, before } = search;
  const isFixed = from !== undefined || before !== undefined;
  const known: readonly string[] = RANGES;
  const ranges = isFixed || known.includes(range) ? known : [range, ...known];
  return html`<form class="filters" role="search" onSubmit=${submit}>
      <label class="wide">
        Query
        <input
          ref=${input}
          id="query"
          name="q"
          class="mono"
          defaultValue=${q === "*" ? "" : q}
          placeholder="level:error component:http"
          maxlength="2000"
          autocomplete="off"
          spellcheck=${false}
          aria-invalid=${mistake ? "true" : undefined}
          aria-describedby=${mistake ? "mistake" : "query-hint"}
        />
      </label>
      <label>
        Time
        <select name="range">
          ${isFixed && html`<option value="" selected>${spanText(from, before)}</option>`}
          ${ranges.map(
            (each) =>
              html`<option value=${each} selected=${!isFixed && each === range}>
                last ${each}
              </option>`,
          )}
        </select>
      </label>
      <button class="button main">Search</button>
    </form>
    <p id="query-hint" class="hint">
      Words find messages, <code>field:value</code> fields, <code>duration_ms:>500</code> numbers;
      AND, OR, NOT and parentheses join them.
    </p>
    ${
      mistake
        ? html`<div id="mistake" class="problem" role="alert">
            <p>${mistake.items[0]?.detail ?? mistake.message} <code>${mistake.code}</code></p>
            ${position !== undefined && html`<pre aria-hidden="true">${q}${"\n"}${" ".repeat(position)}^</pre>`}
          </div>`
        : problem(error)
    }`;
}

interface CountsProps {
  readonly slug: string;
  readonly search: LogSearch;
}

/** The lines by time and level. Each bar leads to its lines. */
function Counts({ slug, search }: CountsProps): VNode | null {
  const path = `/v1/projects/${slug}/logs/histogram`;
  const query = apiQuery(search);
  const { data } = useLoaded(
    path + queryText(query),
    (signal) => call<LogHistogram>("GET", path, { query, signal }),
    { everyMs: search.isLive ? COUNT_EVERY_MS : undefined },
  );
  if (!data) return null;
  const end = (at: string) => new Date(Date.parse(at) + data.bucketMs).toISOString();
  return bars({
    title: "Lines by level",
    labels: data.buckets.map(({ at }) => spanText(at, end(at))),
    series: LEVELS.map((level) => ({
      name: level,
      legend: `${level} ${numberText(sum(data.buckets.map((bucket) => bucket[level])))}`,
      look: `level-${level}`,
      values: data.buckets.map((bucket) => bucket[level]),
    })),
    text: numberText,
    hrefs: data.buckets.map(({ at }) => logAddress(slug, { ...search, from: at, before: end(at) })),
  });
}

function liveText({ isLive }: LogSearch, isPaused: boolean): string {
  if (!isLive) return "Live";
  return isPaused ? "Resume" : "Pause";
}

function statusText(log: LogLines, { isLive }: LogSearch, isPaused: boolean): string {
  const { lines, total, isLoading, error, tail, note, waiting } = log;
  if (error) return "";
  if (isLoading && lines.length === 0) return "Loading …";
  const shown =
    total > lines.length
      ? `${numberText(lines.length)} of ${countText(total, "line")}`
      : countText(lines.length, "line");
  const state = isPaused
    ? `paused, ${countText(waiting, "new line")}`
    : { off: "", connected: "live", lost: "connection lost, connecting again" }[tail];
  return [shown, isLive && state, note].filter(Boolean).join("; ");
}

/** `from` and `before` of the time that the search means now. */
function fixed(search: LogSearch): LogSearch {
  if (search.from !== undefined) return search;
  const [, count = "1", unit = "h"] = /^(\d+)([smhd])$/.exec(search.range) ?? [];
  const seconds = Number(count) * ({ s: 1, m: 60, h: 3_600, d: 86_400 }[unit] ?? 3_600);
  const end = search.before === undefined ? Date.now() : Date.parse(search.before);
  const from = new Date(end - seconds * 1000).toISOString();
  return { ...search, from, before: new Date(end).toISOString(), isLive: false };
}

async function copied(text: string): Promise<boolean> {
  try {
    // Absent on pages without TLS.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A link could not send a pasted key, so the page fetches the file itself. */
async function save(slug: string, search: LogSearch): Promise<void> {
  const path = `/v1/projects/${slug}/logs/download`;
  const file = await fetchFile(path, apiQuery(search));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `${slug}-logs.ndjson`;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** `11-27 05:10–05:12`, in UTC, as the lines have it. */
function spanText(from: string | undefined, before: string | undefined): string {
  const day = (at: string) => at.slice(5, 10);
  const minute = (at: string) => at.slice(11, 16);
  if (from === undefined) return `before ${before?.slice(5, 16).replace("T", " ")}`;
  if (before === undefined) return `since ${day(from)} ${minute(from)}`;
  const end = day(from) === day(before) ? minute(before) : `${day(before)} ${minute(before)}`;
  return `${day(from)} ${minute(from)}–${end}`;
}
