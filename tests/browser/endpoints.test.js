// The endpoints page: the search box with its faults, facets, order, columns, pages, the tree, a saved view,
// tags for many at once, exports, and the keys; reading also without script.
import { test } from "node:test";
import assert from "node:assert/strict";
import { base, open, shot, until } from "./demo.js";

await until("the inventory", "/api/v1/endpoints", (e) => e.length > 8);
const rows = (page) => page.locator("[data-rows] tbody tr");

test("searching and narrowing down", { timeout: 120_000 }, async () => {
  const { page, errors, close } = await open(1600);
  await page.goto(`${base}/endpoints`);
  const all = await rows(page).count();
  await page.keyboard.press("/");
  await page.keyboard.type("method:get -path:*login* risk:>=1");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=method%3Aget/);
  assert.equal(await page.inputValue("input[type=search]"), "method:get -path:*login* risk:>=1");
  const methods = await page.locator("[data-rows] tbody .method").allTextContents();
  assert.ok(methods.length > 0 && methods.length < all && methods.every((m) => m === "GET"), methods.join());

  await page.fill("input[type=search]", "orders colour:red");
  await page.click("form.query button:has-text('Show')");
  assert.match(await page.locator("#wrong").innerText(), /character 8: there is no field colour/);
  assert.equal(await page.locator("#wrong mark").innerText(), "colour:red");
  await shot(page, "endpoints-fault");

  await page.goto(`${base}/endpoints`);
  const facet = page.locator("#facet-method a").first();
  const count = Number((await facet.locator(".n").innerText()).replace(",", ""));
  await facet.click();
  await page.locator("#facet-method a[aria-current]").waitFor();
  assert.equal(await rows(page).count(), count);
  await page.click("#facet-method a[aria-current]");
  assert.ok((await rows(page).count()) >= all);

  await page.goto(`${base}/endpoints?q=status:shadow+nothing-like-it`);
  assert.match(await page.locator(".empty-state").innerText(), /Without status:shadow/);
  await page.click(".empty-state >> text=Without nothing-like-it");
  assert.equal(await page.inputValue("input[type=search]"), "status:shadow");
  assert.deepEqual(errors, []);
  await close();
});

test("order, columns, pages, tree, export", { timeout: 120_000 }, async () => {
  const { page, errors, close } = await open();
  await page.goto(`${base}/endpoints`);
  await page.click("th >> text=Requests");
  const sorted = page.locator("th[aria-sort=descending]");
  assert.match(await sorted.innerText(), /Requests/);
  await sorted.locator("a").click();
  assert.match(await page.locator("th[aria-sort=ascending]").innerText(), /Requests/);
  await page.click("#menu-columns summary");
  await page.check("#menu-columns input[value=callers]");
  await page.selectOption("#menu-columns select", "25");
  await shot(page, "endpoints-columns");
  await page.click("#menu-columns button");
  await page.locator("th >> text=Callers").waitFor();
  assert.match(page.url(), /cols=.*callers/);
  assert.match(page.url(), /limit=25/);
  await page.click("#menu-export summary");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#menu-export >> text=CSV")]);
  assert.equal(download.suggestedFilename(), "apitap-endpoints.csv");

  await page.click("text=Tree");
  assert.ok((await page.locator(".tree tbody tr").count()) > 2);
  await page.click(".tree .closed >> nth=0");
  assert.ok((await page.locator(".tree .way").count()) >= 2);
  await shot(page, "endpoints-tree-open");
  assert.deepEqual(errors, []);
  await close();
});

test("a saved view, and a tag for many", { timeout: 120_000 }, async () => {
  const { page, errors, close } = await open();
  await page.goto(`${base}/endpoints?q=method:get&sort=requests`);
  await page.click("#menu-views summary");
  await page.fill("#menu-views input[name=name]", "Read by many");
  await page.click("#menu-views >> text=Save this view");
  const tab = page.locator(".tabs a:has-text('Read by many')");
  assert.equal(await tab.getAttribute("aria-current"), "page");
  await page.goto(`${base}/endpoints`);
  await tab.click();
  assert.equal(await page.inputValue("input[type=search]"), "method:get");

  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  assert.equal(await rows(page).nth(1).locator("input").isChecked(), true);
  await page.selectOption("#choose select", "tag");
  await page.fill("#choose input[name=value]", "reviewed");
  await page.click("#choose >> text=The ticked");
  assert.match(await page.locator("h1").innerText(), /Tag this endpoint/);
  await page.click("main form button");
  await page.locator("tbody:has-text('reviewed')").waitFor();
  await page.goto(`${base}/endpoints?q=tag:reviewed`);
  assert.equal(await rows(page).count(), 1);
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/endpoints\/[0-9a-z]+$/);

  await page.goto(`${base}/endpoints`);
  await page.click("#menu-views summary");
  await page.click("#menu-views [aria-label='Remove the view Read by many']");
  await page.waitForURL(`${base}/endpoints`);
  assert.equal(await tab.count(), 0);
  assert.deepEqual(errors, []);
  await close();
});

test("without script", { timeout: 60_000 }, async () => {
  const { page, close } = await open(1600, "light", { javaScriptEnabled: false });
  await page.goto(`${base}/endpoints?q=orders`);
  assert.ok((await rows(page).count()) > 0);
  await page.click("#menu-help summary");
  assert.match(await page.locator("#menu-help").innerText(), /status:shadow/);
  await page.click("#facet-method a");
  await page.waitForURL(/method%3A/);
  await close();
});
