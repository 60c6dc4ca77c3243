// Specs: the list and one document of the demo, what differs, an upload that is broken, mended in place,
// looked at before it is put to use, replaced, compared with its earlier version and taken away.
import { test } from "node:test";
import assert from "node:assert/strict";
import { base, open, shot, until } from "./demo.js";

const [shop] = await until("operations that were seen, and an endpoint that is undocumented", "/api/v1/specs", (s) => s.length > 0 && s[0].seen > 2 && s[0].undocumented > 0);

test("the list says what each owns and how much of it is called", { timeout: 120_000 }, async () => {
  const { page, errors, close } = await open(1280);
  await page.goto(`${base}/specs`);
  const row = page.locator("tbody tr", { hasText: shop.title });
  assert.match(await row.innerText(), /api\.shop\.example/);
  assert.match(await row.innerText(), /config/);
  await row.locator("a").first().click();
  assert.match(await page.locator("h1").innerText(), new RegExp(shop.title));
  const head = await page.locator(".card h2 .sub").first().innerText();
  assert.match(head, new RegExp(`of ${shop.operations} operations seen`));
  assert.equal(await page.locator("svg.shares").count(), 1);
  await page.click(".tabs >> text=Undocumented");
  assert.match(await page.locator("tbody").innerText(), /shadow/);
  await page.click(".tabs >> text=Not seen");
  assert.match(await page.locator("main").innerText(), /never called since|Every operation was seen|deprecated/);
  await page.click(".tabs >> text=Drift");
  assert.match(await page.locator("main").innerText(), /No drift|The document says/);
  assert.deepEqual(errors, []);
  await close();
});

for (const width of [390, 1280]) {
  test(`the document beside the traffic at ${width}`, { timeout: 120_000 }, async () => {
    const { page, errors, close } = await open(width);
    await page.goto(`${base}/specs/${shop.id}/diff`);
    const badges = await page.locator(".pair .badge").allTextContents();
    assert.ok(badges.includes("undocumented"), badges.join());
    const table = page.locator("table.beside").first();
    if (await table.count()) {
      const old = await table.locator("tbody td").nth(0).boundingBox();
      const fresh = await table.locator("tbody td").nth(1).boundingBox();
      // Side by side where there is room, one below the other where not.
      assert.equal(fresh.y > old.y, width === 390, `${old.y} ${fresh.y}`);
    }
    await shot(page, `spec-diff-${width}`);
    assert.deepEqual(errors, []);
    await close();
  });
}

const spec = (more) => `openapi: 3.1.0
info: { title: Stock, version: "1" }
servers: [{ url: "https://stock.example/v1" }]
paths:
  /items:
    get: { operationId: items, responses: { "200": {} } }
${more}`;

test("an upload is checked, mended in place, put to use, replaced and removed", { timeout: 120_000 }, async () => {
  const { page, errors, close } = await open(1280);
  await page.goto(`${base}/specs`);
  await page.click("text=Upload a spec");
  await page.setInputFiles("input[type=file]", { name: "stock.yaml", mimeType: "application/yaml", buffer: Buffer.from(spec("  /broken:\n   get: [\n")) });
  await page.click("button:has-text('Check')");
  assert.match(await page.locator(".banner.bad").innerText(), /Line \d+, column \d+:/);
  assert.match(await page.locator(".banner.bad").innerText(), /Mend:/);
  assert.equal(await page.locator(".lines tr.at").count(), 1);
  await shot(page, "spec-error");
  await page.fill("textarea[name=text]", spec(""));
  await page.click("button:has-text('Check')");
  assert.match(await page.locator("h1").innerText(), /Stock/);
  assert.match(await page.locator("main").innerText(), /stock\.example\/v1/);
  assert.match(await page.locator("main").innerText(), /No endpoint lies in its places/);
  await shot(page, "spec-preview");
  await page.click("button:has-text('Put to use')");
  await page.waitForURL(/\/specs\/u\d+$/);
  assert.match(await page.locator("main").innerText(), /No operation was seen yet/);
  await page.click("text=Replace");
  await page.fill("textarea[name=text]", spec('  /items/{id}:\n    get: { operationId: item, responses: { "200": {} } }\n'));
  await page.click("button:has-text('Check')");
  await page.click("button:has-text('Put to use')");
  await page.waitForURL(/\/specs\/u\d+$/);
  await page.click("#versions summary");
  await page.click("#versions >> text=compare");
  assert.match(await page.locator(".pair").innerText(), /added[\s\S]*\/v1\/items\/\{id\}/);
  await page.click(".crumbs >> text=Stock");
  await page.click("summary:has-text('Remove')");
  await page.click("button:has-text('Remove this spec')");
  await page.waitForURL(/\/specs$/);
  assert.equal(await page.locator("tbody tr", { hasText: "Stock" }).count(), 0);
  assert.deepEqual(errors, []);
  await close();
});
