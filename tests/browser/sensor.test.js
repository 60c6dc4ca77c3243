// The sensor: the ledger's picture adds up with its table at every width, what came over time, budgets
// with their use, and the API has all of it.
import { test } from "node:test";
import assert from "node:assert/strict";
import { base, open, until } from "./demo.js";

await until("exchanges", "/api/v1/endpoints", (e) => e.length > 8);
const number = (text) => Number(text.replaceAll(",", ""));

for (const width of [390, 1280, 2560]) {
  test(`the ledger adds up at ${width}`, { timeout: 120_000 }, async () => {
    const { page, errors, close } = await open(width);
    await page.goto(`${base}/sensor`);
    assert.match(await page.locator("#ledger").innerText(), /balanced: everything received/);
    // One form of the picture, never none and never both.
    const shown = [await page.locator(".flow.across").isVisible(), await page.locator(".flow.down").isVisible()];
    assert.deepEqual(shown, width === 390 ? [false, true] : [true, false]);
    const picture = page.locator(width === 390 ? ".flow.down" : ".flow.across");
    assert.ok((await picture.locator("path.way").count()) >= 3);
    await page.click("#ledger-table summary");
    const rows = await page.locator("#ledger-table tbody tr").all();
    assert.ok(rows.length >= 5, `${rows.length} stages`);
    for (const row of rows) {
      const [received, ...parts] = (await row.locator("td.num").allTextContents()).map(number);
      assert.equal(parts.reduce((a, b) => a + b, 0), received, await row.innerText());
    }
    assert.deepEqual(errors, []);
    await close();
  });
}

test("load, budgets, protocols and the last hour", { timeout: 120_000 }, async () => {
  const { page, errors, close } = await open(1280);
  await page.goto(`${base}/sensor`);
  const main = await page.locator("main").innerText();
  for (const words of ["Tap doctor", "Interfaces", "Protocols", "HTTP/1", "Budgets", "Principals", "Workers", "The last hour"]) assert.ok(main.includes(words), words);
  assert.match(main, /Endpoints\s+\d[\d,]* of 100,000/);
  await page.click("#minutes summary");
  assert.ok((await page.locator("#minutes tbody tr").count()) >= 1);
  const data = await (await fetch(`${base}/api/v1/sensor`)).json();
  assert.equal(data.load.length, data.workers);
  assert.ok(data.seconds.length > 0 && data.minutes.length > 0 && data.budgets.length >= 8);
  assert.ok(data.budgets.every((b) => b.used <= b.limit), JSON.stringify(data.budgets));
  assert.deepEqual(errors, []);
  await close();
});
