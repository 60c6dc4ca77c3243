// What the browser tests share: the running demo (run.js starts it), Debian's Chromium, and pages whose
// console errors and broken content policies are collected.
import { after } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

export const base = process.env.BASE ?? assert.fail("run these by `node run.js`");
const shots = process.env.SHOTS;
let launched;

after(async () => { await (await launched)?.close(); });

function browser() {
  launched ??= chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  return launched;
}

// A list of the API once it has what is waited for: history is read, the first attacks have rung.
export async function until(what, path, found) {
  for (let i = 0; i < 600; i++) {
    const items = (await (await fetch(base + path)).json()).items;
    if (found(items)) return items;
    await new Promise((r) => setTimeout(r, 500));
  }
  assert.fail(`${what} did not come`);
}

export async function open(width = 1280, scheme = "light", options = {}) {
  const context = await (await browser()).newContext({ viewport: { width, height: 900 }, colorScheme: scheme, ...options });
  const page = await context.newPage();
  const errors = [];
  page.on("console", (m) => { if (m.type() === "error" || /Content Security Policy/.test(m.text())) errors.push(m.text()); });
  page.on("pageerror", (e) => errors.push(String(e)));
  return { page, context, errors, close: () => context.close() };
}

export async function shot(page, name) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}
