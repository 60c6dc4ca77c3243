// The overview: every number leads to the list behind it, what is named leads to its page, the table
// behind the chart adds up to it; and what a first-time user is told while there is nothing.
import { test } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { base, open, until } from "./demo.js";

const program = process.env.APITAP ?? new URL("../../target/debug/apitap", import.meta.url).pathname;

await until("the inventory", "/api/v1/endpoints", (e) => e.length > 8);
// The three days of history are read once the first attack of the live part has rung.
await until("an alert of enumeration", "/api/v1/alerts?kind=enumeration", (a) => a.length > 0);

test("each tile and line leads to what is behind it", { timeout: 180_000 }, async () => {
  const { page, errors, close } = await open(1280);
  await page.goto(base);
  const tiles = await page.locator(".tiles .tile").evaluateAll((all) => all.map((t) => t.getAttribute("href")));
  assert.ok(tiles.length >= 8, tiles.join());
  const lines = await page.locator("#changed a, #open a, #risks a, #doctor a, #traffic a").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
  for (const href of new Set([...tiles, ...lines])) {
    const answer = await fetch(base + href, { headers: { accept: "text/html" } });
    assert.equal(answer.status, 200, href);
  }
  // The number on a tile is that of its list.
  const shadow = page.locator(".tile:has-text('Shadow')");
  const said = Number(await shadow.locator("strong").innerText());
  await shadow.click();
  assert.match(page.url(), /documentation=shadow|status(:|%3A)shadow/);
  assert.equal(await page.locator("table.rows tbody tr").count(), said);
  await page.goBack();
  const worst = await page.locator("#open .sev").allInnerTexts();
  const order = ["critical", "high", "medium", "low", "info"];
  const ranks = worst.map((s) => order.indexOf(s));
  assert.deepEqual(ranks, [...ranks].sort((a, b) => a - b));
  assert.match(await page.locator("#open li >> nth=0").innerText(), /for \d+ (s|min|h|d), \d+ alerts?/);
  assert.deepEqual(errors, []);
  await close();
});

test("the chart of the day has its table, and the day before", { timeout: 60_000 }, async () => {
  const { page, close } = await open(1280);
  await page.goto(base);
  assert.equal(await page.locator("#traffic polyline.before").count(), 1);
  const words = await page.locator("#traffic figcaption").innerText();
  await page.click("#by-hour summary");
  const cells = await page.locator("#by-hour tbody td:nth-child(2)").allInnerTexts();
  const sum = cells.map((c) => Number(c.replaceAll(",", ""))).reduce((a, b) => a + b, 0);
  const whole = Number(words.match(/([\d,]+) requests in 24 h/)[1].replaceAll(",", ""));
  assert.equal(cells.length, 24);
  assert.equal(sum, whole);
  const news = await page.locator("#changed tbody tr").count();
  assert.equal(news, 7);
  await close();
});

test("without script all of it reads", { timeout: 60_000 }, async () => {
  const { page, close } = await open(390, "light", { javaScriptEnabled: false });
  await page.goto(base);
  assert.match(await page.locator("#changed").innerText(), /New endpoints/);
  await close();
});

// A savefile without a packet: what is missing, and commands to copy.
test("an empty inventory says what is missing and what to do", { timeout: 120_000 }, async () => {
  const dir = mkdtempSync(`${tmpdir()}/apitap-empty-`);
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(1, 20);
  writeFileSync(`${dir}/empty.pcap`, header);
  const port = await new Promise((found) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => found(port));
    });
  });
  writeFileSync(`${dir}/apitap.toml`, `[web]\nlisten = "127.0.0.1:${port}"\n`);
  const reader = spawn(program, ["read", "--config", `${dir}/apitap.toml`, "--serve", `${dir}/empty.pcap`], { stdio: "ignore", env: { ...process.env, XDG_STATE_HOME: dir } });
  try {
    const there = `http://127.0.0.1:${port}`;
    for (let i = 0; ; i++) {
      if (await fetch(`${there}/readyz`).then((r) => r.ok, () => false)) break;
      assert.ok(i < 150, "the reader did not start");
      await new Promise((r) => setTimeout(r, 200));
    }
    const { page, errors, close } = await open(390);
    await page.goto(there);
    assert.match(await page.locator("#missing").innerText(), /No packet was read/);
    const command = page.locator("#missing .copy >> nth=0");
    assert.ok((await command.locator("code").innerText()).length > 3);
    await command.locator("button").click();
    await command.locator("button:text-matches('Copied|Selected')").waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `it scrolls sideways by ${wide}`);
    await page.goto(`${there}/principals`);
    assert.match(await page.locator(".empty-state").innerText(), /Nobody has called yet/);
    assert.deepEqual(errors, []);
    await close();
  } finally {
    reader.kill("SIGTERM");
    rmSync(dir, { recursive: true, force: true });
  }
});
