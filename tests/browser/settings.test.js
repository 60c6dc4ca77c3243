// Settings: a key is found and says where it came from, what is set alone, the download, sinks of a
// sensor that has none, retention with links to the keys; by keyboard, and without script.
import { test } from "node:test";
import assert from "node:assert/strict";
import { base, open, until } from "./demo.js";

await until("the settings", "/api/v1/settings", (s) => s.length > 50);

test("a key is found by what it is for, and tells its origin", async () => {
  const { page, errors, close } = await open();
  await page.goto(base);
  await page.click("nav >> text=Settings");
  await page.locator("input[name=q]").focus();
  await page.keyboard.type("dormant");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=dormant/);
  const row = page.locator(".setting-keys tbody tr");
  assert.equal(await row.count(), 1);
  assert.match(await row.innerText(), /dormant_after[\s\S]*without traffic[\s\S]*"30d"[\s\S]*default/);
  await page.click(".switch >> text=Set");
  assert.match(await page.locator("main").innerText(), /No key matches/);
  await page.click("text=Show all keys");
  await page.click(".switch >> text=Set");
  await page.waitForURL(/settings\?show=set/);
  const set = await page.locator(".setting-keys tbody tr").allInnerTexts();
  assert.ok(set.some((t) => /listen[\s\S]*command line: --listen/.test(t)), set.join());
  assert.ok(set.every((t) => !/From: default/.test(t)));
  assert.match(page.url(), /show=set/);
  assert.deepEqual(errors, []);
  await close();
});

test("the download is TOML, and apitap's own", async () => {
  const answer = await fetch(`${base}/api/v1/settings.toml`);
  assert.match(answer.headers.get("content-disposition"), /attachment; filename="apitap.toml"/);
  const text = await answer.text();
  assert.match(text, /^# The configuration in effect/);
  assert.match(text, /\n\[catalog\][\s\S]*\ndormant_after = "30d"\n/);
});

test("tabs lead to sinks and retention, and each bound to its key", async () => {
  const { page, errors, close } = await open(390, "dark");
  await page.goto(`${base}/settings`);
  await page.click(".tabs >> text=Sinks");
  assert.match(await page.locator(".empty-state").innerText(), /No sink is configured/);
  await page.click(".tabs >> text=Retention");
  assert.equal(await page.locator(".tabs a[aria-current=page]").innerText(), "Retention");
  const alerts = page.locator("tr", { has: page.locator("th >> text=alert.max_alerts") });
  assert.match(await alerts.innerText(), /Alerts[\s\S]*10,000/);
  await alerts.locator("a >> text=alert.max_alerts").click();
  assert.match(await page.locator(".setting-keys tbody").innerText(), /max_alerts[\s\S]*10000/);
  assert.equal(await page.locator("input[name=q]").inputValue(), "alert.max_alerts");
  assert.deepEqual(errors, []);
  await close();
});

test("the old address of the deliveries still works, and all of it without script", async () => {
  const { page, close } = await open(1280, "light", { javaScriptEnabled: false });
  await page.goto(`${base}/deliveries`);
  assert.match(await page.locator(".empty-state").innerText(), /No sink is configured/);
  await page.goto(`${base}/settings?q=max_alerts`);
  assert.match(await page.locator(".setting-keys tbody").innerText(), /max_alerts/);
  await close();
});
