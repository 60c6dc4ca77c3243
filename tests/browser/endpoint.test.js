// One endpoint: its charts with the table behind them, what people say of it and take back, a split
// seen before it is made, the time line, and the link that is copied.
import { test } from "node:test";
import assert from "node:assert/strict";
import { base, open, until } from "./demo.js";

const api = async (path) => (await fetch(base + path)).json();

test("one endpoint", { timeout: 400_000 }, async () => {
  await until("an enumeration alert", "/api/v1/alerts?kind=enumeration", (a) => a.length > 0);
  // Its template is the traffic's own, and it was called for long enough to be known.
  const wanted = (e) => e.confirmed && e.method === "GET" && e.template.includes("{") && e.documentation !== "documented" && e.requests > 100;
  const all = await until("an endpoint with a parameter", "/api/v1/endpoints?limit=1000", (e) => e.some(wanted));
  const own = all.find(wanted);
  const { page, errors, close } = await open(1280, "light");
  await page.goto(`${base}/endpoints/${own.key}`);
  assert.equal(await page.locator("h1").innerText(), `${own.method} ${own.template}`);

  // Four charts, each with a legend, words, and what its bars stand for; the numbers behind them.
  assert.equal(await page.locator("#history svg.chart").count(), 4);
  for (const figure of await page.locator("#history figure").all()) {
    assert.ok((await figure.locator(".keys li").count()) > 0);
    assert.match(await figure.locator("svg").getAttribute("aria-label"), /: .+/);
  }
  await page.click("#history .switch >> text=Week");
  assert.equal(await page.locator("#history .switch [aria-current]").innerText(), "Week");
  assert.ok((await page.locator("#history svg.chart .hits title").count()) > 0);
  assert.ok((await page.locator("#history svg .band").count()) === 1, "the band that was learnt in three days");
  await page.click("#numbers summary");
  assert.ok((await page.locator("#numbers tbody tr").count()) > 10);
  const hours = await api(`/api/v1/endpoints/${own.key}/history?step=hour`);
  const busy = hours.items.find((i) => i.requests > 5);
  assert.ok(busy.latency_ms.p50 <= busy.latency_ms.p90 && busy.latency_ms.p90 <= busy.latency_ms.p99 && busy.latency_ms.p99 <= busy.latency_ms.max + 1e-3);
  assert.ok(busy.expected.low <= busy.expected.mean && busy.expected.mean <= busy.expected.high);
  assert.ok(busy.response_bytes > 0);

  // Tag, owner and note: said, shown, in the list, and taken back.
  await page.fill("#people form[action$='/tag'] input[name=value]", "PCI");
  await page.click("#people form[action$='/tag'] button");
  await page.locator("#people .tag:has-text('pci')").waitFor();
  await page.fill("#people form[action$='/own'] input[name=value]", "payments");
  await page.click("#people form[action$='/own'] button");
  await page.fill("#people textarea", "one line\nand another");
  await page.click("#people form[action$='/note'] button");
  await page.locator("#timeline :text('Note: one line')").waitFor();
  const said = await api(`/api/v1/endpoints/${own.key}`);
  assert.deepEqual([said.tags, said.owner, said.note], [["pci"], "payments", "one line\nand another"]);
  assert.match(await (await fetch(`${base}/api/v1/endpoints.csv?q=${encodeURIComponent(own.template)}`)).text(), /,pci,payments,/);
  await page.click("#people .tag button");
  await page.locator("#timeline :text('No longer tagged pci')").waitFor();
  assert.equal(await page.locator("#people .tag").count(), 0);
  await page.goto(`${base}/decisions`);
  await page.click("tr:has-text('owned by payments') button:has-text('Undo')");
  await page.locator("tr:has-text('no longer owned by payments')").waitFor();
  assert.equal((await api(`/api/v1/endpoints/${own.key}`)).owner, undefined);

  // A split is seen before it is made.
  await page.goto(`${base}/endpoints/${own.key}`);
  await page.fill("#template form[action$='/split'] input[name=word] >> nth=0", "nobody-asked-for-this");
  await page.click("#template form[action$='/split'] button >> nth=0");
  await page.locator("h1:has-text('Split')").waitFor();
  assert.match(await page.locator(".banner").innerText(), /No call of this word/);
  assert.match(await page.locator("tbody td >> nth=1").innerText(), /nobody-asked-for-this/);
  await page.click("a:has-text('Cancel')");
  assert.equal(await page.locator("h1").innerText(), `${own.method} ${own.template}`);

  const lived = await api(`/api/v1/endpoints/${own.key}/timeline`);
  const kinds = new Set(lived.items.map((i) => i.kind));
  for (const kind of ["seen", "decision"]) assert.ok(kinds.has(kind), `${kind} in ${[...kinds]}`);
  const times = lived.items.map((i) => Date.parse(i.at));
  assert.deepEqual(times, [...times].sort((a, b) => b - a));
  const document = await api(`/api/v1/endpoints/${own.key}/openapi.json`);
  assert.equal(Object.keys(document.paths).length, 1);
  assert.deepEqual(errors, []);
  await close();
});
