import { html } from "htm/preact";
import type { RefObject, VNode } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** In px. All rows have it, so the place of a row is known without drawing the ones before. */
const ROW_HEIGHT = 22;
/** Rows beyond the visible ones, so that scrolling shows no gap. */
const BEYOND = 12;

export interface VisibleRows {
  readonly scroller: RefObject<HTMLDivElement | null>;
  /** The first row to draw, and the one after the last. */
  readonly first: number;
  readonly end: number;
  readonly isAtEnd: boolean;
  readonly onScroll: () => void;
  readonly show: (row: number) => void;
}

interface RowsOptions {
  readonly count: number;
  /** Goes up by one for each row that is added before the others, so that the view stays where it is. */
  readonly added: number;
  /** Called near the first row. */
  readonly onStart: () => void;
}

/**
 * Finds which rows of a long list are visible: only these are in the document, however many there are. It
 * scrolls to new rows at the end if the end was visible before.
 */
export function useVisibleRows({ count, added, onStart }: RowsOptions): VisibleRows {
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const wasAtEnd = useRef(true);
  const before = useRef(added);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    // The end first: a full list also loses its oldest rows for each new one.
    if (wasAtEnd.current) element.scrollTop = element.scrollHeight;
    else element.scrollTop += (added - before.current) * ROW_HEIGHT;
    before.current = added;
    setTop(element.scrollTop);
  }, [count, added, height]);

  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    const left = element.scrollHeight - element.scrollTop - element.clientHeight;
    wasAtEnd.current = left < ROW_HEIGHT;
    setTop(element.scrollTop);
    if (element.scrollTop < ROW_HEIGHT * BEYOND) onStart();
  };

  const show = (row: number) => {
    const element = scroller.current;
    if (!element) return;
    const place = row * ROW_HEIGHT;
    if (place < element.scrollTop) element.scrollTop = place;
    const lowest = element.scrollTop + element.clientHeight - ROW_HEIGHT;
    if (place > lowest) element.scrollTop += place - lowest;
  };

  const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - BEYOND);
  const end = Math.min(count, Math.ceil((top + height) / ROW_HEIGHT) + BEYOND);
  return { scroller, first, end, isAtEnd: wasAtEnd.current, onScroll, show };
}

/** The drawn rows at their place in the whole list. */
export function placed(rows: readonly VNode[], first: number, count: number): VNode {
  return html`<div style=${{ height: `${count * ROW_HEIGHT}px`, position: "relative" }}>
    <div style=${{ position: "absolute", top: `${first * ROW_HEIGHT}px`, left: 0, right: 0 }}>
      ${rows}
    </div>
  </div>`;
}
