// Principals: from an alert's caller to who that is, the list by facets and by keyboard, export of what is
// shown, and somebody who is not there.
import { test } from "node:test";
import assert from "node:assert/strict";
import { base, open, until } from "./demo.js";

await until("an enumeration alert", "/api/v1/alerts?kind=enumeration", (a) => a.length > 0);
const [culprit] = await until("its caller in the list", "/api/v1/principals?incidents=open&kind=identity", (p) => p.length > 0);

test("the list narrows by facets, sorts by columns and is exported as it is shown", { timeout: 120_000 }, async () => {
  const { page, errors, close } = await open(1600);
  await page.goto(`${base}/principals`);
  const all = Number((await page.locator("h1 .sub").innerText()).replaceAll(",", ""));
  assert.ok(all > 100, `${all} principals`);
  await page.click(".facets a:has-text('identity')");
  await page.click(".facets a:has-text('open')");
  assert.match(page.url(), /kind=identity/);
  assert.match(page.url(), /incidents=open/);
  const rows = await page.locator("tbody tr").count();
  assert.ok(rows >= 1 && rows < all, `${rows} of ${all}`);
  assert.equal(await page.locator(".facets a[aria-current]").count(), 2);
  await page.click("thead a:has-text('Requests')");
  assert.equal(await page.locator("th[aria-sort=descending]").innerText(), "Requests ↓");
  const csv = await page.locator(".actions a:has-text('CSV')").getAttribute("href");
  const lines = (await (await fetch(base + csv)).text()).trim().split("\r\n");
  assert.equal(lines.length, 1 + rows);
  assert.ok(lines.some((l) => l.startsWith(culprit.id)), csv);
  // Taking a facet back, by keyboard.
  await page.locator(".facets a[aria-current]:has-text('open')").focus();
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => !url.search.includes("incidents"));
  await page.click("text=Next page");
  assert.match(page.url(), /cursor=/);
  await page.fill("input[name=q]", "nobody-like-this");
  await page.click("button:has-text('Search')");
  assert.match(await page.locator(".empty-state").innerText(), /No principal matches/);
  await page.click("text=Look up");
  assert.match(await page.locator("main").innerText(), /Not followed now/);
  assert.deepEqual(errors.filter((e) => !/404/.test(e)), []);
  await close();
});

test("one principal: what it calls, its week, its addresses and its incidents", { timeout: 120_000 }, async () => {
  const { page, errors, close } = await open(1280);
  await page.goto(`${base}/principals?q=${encodeURIComponent(culprit.id)}`);
  await page.click("tbody a");
  assert.equal((await page.locator("h1").innerText()).trim(), culprit.id);
  assert.match(await page.locator(".page-head").innerText(), /requests to \d+ endpoints?/);
  assert.match(await page.locator("#calls").innerText(), /\/v1\/orders\/\{order_id\}/);
  assert.equal(await page.locator("#rhythm svg rect").count(), 168);
  const hours = page.locator("#hours");
  assert.equal(await hours.locator("table").isVisible(), false);
  await hours.locator("summary").click();
  assert.equal(await hours.locator("tbody tr").count(), 24);
  assert.ok((await page.locator("#days svg rect").count()) > 0);
  assert.ok((await page.locator("#incidents tbody tr").count()) >= 1);
  assert.ok((await page.locator("#alerts tbody tr").count()) >= 1);
  assert.match(await page.locator("#facts").innerText(), /automation/);
  await page.click("#calls a >> nth=0");
  assert.match(page.url(), /\/endpoints\//);
  await page.goBack();
  // To an address behind it, and back by the identities there.
  await page.click("#from a >> nth=0");
  assert.match(await page.locator("#from").innerText(), /Identities at this address/);
  await page.click(`#from a:has-text('${culprit.id}')`);
  assert.equal((await page.locator("h1").innerText()).trim(), culprit.id);
  assert.deepEqual(errors, []);
  await close();
});
