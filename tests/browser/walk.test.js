// Walks the demo as a person would, in Debian's Chromium: overview, endpoints, one endpoint, alerts,
// one alert (and acknowledges it), findings, coverage, OWASP, deliveries, decisions (and takes one back),
// sensor. No console error and no broken content policy is allowed.
// APITAP is the program; SHOTS, where it is set, is a folder for screenshots.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const port = 18650 + (process.pid % 1000);
const base = `http://127.0.0.1:${port}`;
const shots = process.env.SHOTS;
let demo, browser;

before(async () => {
  demo = spawn(process.env.APITAP ?? "../../target/debug/apitap", ["demo", "--listen", `127.0.0.1:${port}`], { stdio: "inherit" });
  for (let i = 0; ; i++) {
    const alive = await fetch(`${base}/readyz`).then((r) => r.ok, () => false);
    if (alive) break;
    assert.ok(i < 300, "the demo did not start");
    await new Promise((r) => setTimeout(r, 200));
  }
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});

after(async () => {
  await browser?.close();
  demo?.kill("SIGTERM");
});

// Until the history is read and the first attacks have rung.
async function until(what, path, found) {
  for (let i = 0; i < 600; i++) {
    const items = (await (await fetch(base + path)).json()).items;
    if (found(items)) return items;
    await new Promise((r) => setTimeout(r, 500));
  }
  assert.fail(`${what} did not come`);
}

async function open(width, scheme) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme });
  const page = await context.newPage();
  const errors = [];
  page.on("console", (m) => { if (m.type() === "error" || /Content Security Policy/.test(m.text())) errors.push(m.text()); });
  page.on("pageerror", (e) => errors.push(String(e)));
  return { page, errors, close: () => context.close() };
}

async function shot(page, name) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

test("the main walk", { timeout: 400_000 }, async () => {
  await until("the inventory", "/api/v1/endpoints", (e) => e.length > 8);
  await until("an enumeration alert", "/api/v1/alerts?kind=enumeration", (a) => a.length > 0);
  const { page, errors, close } = await open(1280, "light");
  await page.goto(base);
  assert.match(await page.title(), /Overview/);
  await page.click("nav >> text=Endpoints");
  const rows = await page.locator("tbody tr").count();
  assert.ok(rows > 8, `${rows} endpoints`);
  await page.fill("input[name=q]", "orders");
  await page.click("button:has-text('Show')");
  const found = await page.locator("tbody tr .path a").allTextContents();
  assert.ok(found.length > 0 && found.every((t) => t.includes("orders")), found.join());
  await page.selectOption("select[name=sort]", "path");
  await page.click("button:has-text('Show')");
  const sorted = await page.locator("tbody tr .path a").allTextContents();
  assert.deepEqual(sorted, [...sorted].sort());
  await page.click("tbody tr .path a >> nth=0");
  assert.equal(await page.locator("#history svg.chart").count(), 2);
  const day = await page.locator("#history svg.chart rect").count();
  await page.click("#history >> text=60 days");
  assert.equal(await page.locator("#history a[aria-current]").innerText(), "60 days");
  assert.ok((await page.locator("#history svg.chart rect").count()) > 0 && day > 0);
  const body = page.locator("details.part:has-text('Response body, 2xx')");
  assert.match(await body.innerText(), /\/\*\/status\s+string\s+one of open, paid, sent/);
  await body.locator("summary").click();
  assert.equal(await body.locator("table").isVisible(), false);
  await page.click("nav >> text=Alerts");
  await page.selectOption("select[name=kind]", "enumeration");
  await page.click("button:has-text('Show')");
  await page.click("tbody tr .path a >> nth=0");
  assert.match(await page.locator("#bpf").innerText(), /^(\(?host [0-9.]+ and host [0-9.]+ and tcp port [0-9]+\)?( or )?)+$/);
  await page.click("[data-copy=bpf]");
  await page.locator("[data-copy=bpf]:text-matches('Copied|Selected')").waitFor();
  await page.fill("input[name=note]", "looking into it");
  await page.click("button:has-text('Acknowledge')");
  await page.locator(".badge:has-text('acknowledged')").waitFor();
  await page.click("dd a[href^='/endpoints/']");
  assert.match(await page.locator("h1").innerText(), /orders/);
  await page.click("nav >> text=Findings");
  await page.selectOption("select[name=kind]", "obsolete-tls");
  await page.click("button:has-text('Show')");
  const lying = await page.locator("tbody tr .path").allTextContents();
  assert.ok(lying.length === 1 && lying[0].includes("office.shop.example:443 speaks TLS 1.0"), lying.join());
  await page.click("tbody tr .path a >> nth=0");
  assert.equal(await page.locator("tbody tr").count(), 1);
  await page.click("nav >> text=Coverage");
  assert.match(await page.locator("main").innerText(), /of HTTP bytes inspected; .* in 3 TLS hosts/);
  await page.selectOption("select[name=inspection]", "opened");
  await page.click("button:has-text('Show')");
  assert.match(await page.locator("main").innerText(), /No host matches/);
  await page.click("nav >> text=OWASP");
  const inventory = page.locator("#API9");
  const counted = Number(await inventory.locator("td >> nth=3").innerText());
  assert.ok(counted > 0, "no open alert of API9");
  await inventory.locator("a[href^='/alerts']").click();
  const listed = await page.locator("tbody tr").count(); // the demo goes on meanwhile
  assert.ok(listed >= counted, `${listed} listed, ${counted} counted`);
  await page.click("nav >> text=Deliveries");
  assert.match(await page.locator("main").innerText(), /No sink is configured/);
  await page.goto(`${base}/endpoints?documentation=shadow`);
  await page.click("tbody tr .path a >> nth=0");
  await page.fill("#status input[name=note]", "it is meant to be there");
  await page.click("#status button:has-text('Accept')");
  await page.click("nav >> text=Decisions");
  assert.match(await page.locator("tbody").innerText(), /it is meant to be there/);
  await page.click("tbody button:has-text('Undo')");
  await page.locator("tbody:has-text('takes back no. 1')").waitFor();
  await page.click("nav >> text=Sensor");
  assert.match(await page.locator("main").innerText(), /balanced: everything received/);
  await page.waitForTimeout(4_000); // the live stream refreshes at least once
  assert.deepEqual(errors, []);
  await close();
});

test("every page at three widths, light and dark", { timeout: 200_000 }, async () => {
  const endpoint = (await until("an endpoint", "/api/v1/endpoints", (e) => e.length > 0))[0].key;
  const alerts = await until("an alert", "/api/v1/alerts", (a) => a.length > 0);
  const alert = (alerts.find((a) => a.series.length > 0) ?? alerts[0]).id;
  const pages = { overview: "/", endpoints: "/endpoints", endpoint: `/endpoints/${endpoint}`, incidents: "/incidents", "incidents-empty": "/incidents?kind=tampering", silences: "/silences", automation: "/automation", alerts: "/alerts", alert: `/alerts/${alert}`, findings: "/findings", coverage: "/coverage", "coverage-empty": "/coverage?q=nobody", owasp: "/owasp", deliveries: "/deliveries", decisions: "/decisions", sensor: "/sensor" };
  for (const scheme of ["light", "dark"]) {
    for (const width of [390, 1280, 2560]) {
      const { page, errors, close } = await open(width, scheme);
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(base + path);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(wide <= 0, `${name} at ${width} scrolls sideways by ${wide}`);
        await shot(page, `${name}-${width}-${scheme}`);
      }
      assert.deepEqual(errors, [], `${scheme} ${width}`);
      await close();
    }
  }
});
