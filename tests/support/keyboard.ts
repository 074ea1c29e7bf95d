import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { until } from "../../sandbox/process.ts";

/** More than any view has elements to reach. */
const MAX_STEPS = 100;

/** Presses Tab until the element has the focus, and requires that each element on the way shows it. */
export async function tabTo(page: Page, target: Locator): Promise<void> {
  await target.waitFor();
  for (let steps = 0; steps < MAX_STEPS; steps += 1) {
    await page.keyboard.press("Tab");
    const unseen = await page.evaluate<string | null>(HIDDEN_FOCUS);
    assert.equal(unseen, null, "the focus is visible");
    if (await hasFocus(target)) return;
  }
  assert.fail(`the keyboard does not reach ${String(target)}`);
}

/** Waits until the element has the focus. */
export async function focused(target: Locator): Promise<void> {
  await target.waitFor();
  await until(async () => assert.ok(await hasFocus(target), `${String(target)} has the focus`));
}

async function hasFocus(target: Locator): Promise<boolean> {
  return (await target.and(target.page().locator(":focus")).count()) > 0;
}

/** The element with the focus, if a person cannot see that it has the focus; else null. */
const HIDDEN_FOCUS = `(() => {
  const element = document.activeElement;
  if (!element || element === document.body || element instanceof SVGElement) return null;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const { top, bottom, width } = element.getBoundingClientRect();
  const isSeen = top < innerHeight && bottom > 0 && width > 0;
  return isSeen && outlineStyle !== "none" && outlineWidth !== "0px" ? null : element.outerHTML;
})()`;
