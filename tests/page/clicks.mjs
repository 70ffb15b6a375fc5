// How many clicks a task takes.

/** Counts the clicks on this page from now on. Resolves with a function that resolves with their number. */
export async function countClicks(page) {
  await page.evaluate(() => {
    globalThis.clicks = 0;
    addEventListener("click", ({ detail }) => {
      // Enter in a form clicks its button too, without a pointer.
      if (detail > 0) globalThis.clicks += 1;
    }, true);
  });
  return () => page.evaluate(() => globalThis.clicks);
}
