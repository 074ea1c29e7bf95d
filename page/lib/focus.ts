/** The heading of the open dialog, or else of the view. Nothing outside an open dialog can have the focus. */
const title = () =>
  document.querySelector<HTMLElement>("dialog[open] h2") ??
  document.querySelector<HTMLElement>("main h1");

/** Gives the focus to the heading of the view or its dialog, where a screen reader begins. */
export function focusHeading(): void {
  title()?.focus({ preventScroll: true });
}

/**
 * When the element with the focus leaves the document, the element with the same id gets the focus, or
 * else the heading. Without this, the next Tab would begin at the top of the page.
 */
export function keepFocus(root: Element): void {
  let last: Element | undefined;
  root.addEventListener("focusin", ({ target }) => {
    if (target instanceof Element) last = target;
  });
  const observer = new MutationObserver(() => {
    if (!last || last.isConnected || !title()) return;
    const { id } = last;
    last = undefined;
    if (document.activeElement !== document.body) return;
    const next = id === "" ? null : document.getElementById(id);
    if (next) next.focus({ preventScroll: true });
    else focusHeading();
  });
  observer.observe(root, { childList: true, subtree: true });
}
