// Signing in and out, in real Chromium against a daemon of its own on loopback with sign-in on: the wrong
// password, the way back to the page that was asked for, what a viewer is shown, users, tokens, the audit,
// and the end of other sessions with a new password. Capturing on `lo` takes root: without it this is skipped.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { open, shot } from "./demo.js";

const program = process.env.APITAP;
const skip = process.getuid() === 0 ? false : "needs root to capture on lo";
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const rules = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };
const password = "correct horse battery";
const dir = mkdtempSync(`${tmpdir()}/apitap-sign-in-`);
let daemon, base;

before(async () => {
  if (skip) return;
  const port = await new Promise((found) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => found(port));
    });
  });
  base = `http://127.0.0.1:${port}`;
  const config = `${dir}/apitap.toml`;
  writeFileSync(config, `[web]\nlisten = "127.0.0.1:${port}"\nsign_in = "on"\n[store]\npath = "${dir}/state"\n[log]\nlevel = "error"\n`);
  daemon = spawn(program, ["run", "--config", config, "-i", "lo"], { stdio: "inherit" });
  for (let i = 0; !(await fetch(`${base}/readyz`).then((r) => r.ok, () => false)); i++) {
    assert.ok(i < 100 && daemon.exitCode === null, "the daemon did not start");
    await new Promise((r) => setTimeout(r, 200));
  }
});

after(() => {
  daemon?.kill("SIGTERM");
  rmSync(dir, { recursive: true, force: true });
});

function add(name, role) {
  const done = spawnSync(program, ["user", "add", name, "--role", role, "--state", `${dir}/state`], { input: `${password}\n` });
  assert.equal(done.status, 0, String(done.stderr));
}

async function signIn(page, name, word = password) {
  await page.fill("input[name=name]", name);
  await page.fill("input[name=password]", word);
  await page.click("button:has-text('Sign in')");
}

async function sound(page, name) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name} scrolls sideways by ${wide}`);
  await page.evaluate(axe);
  const found = await page.evaluate((rules) => axe.run(document, rules), rules);
  assert.deepEqual(found.violations.map((v) => `${name}: ${v.id}: ${v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join(" | ")}`), []);
}

// What Chromium says of an answer that is no success is no fault of the page.
const faults = (errors) => errors.filter((e) => !/status of (401|403|429)/.test(e));

test("in, about, and out", { skip, timeout: 120_000 }, async () => {
  const { page, errors, close } = await open();
  await page.goto(`${base}/silences`);
  assert.equal(new URL(page.url()).pathname, "/login");
  assert.match(await page.locator("main").innerText(), /There is no user yet[\s\S]*apitap user add NAME --role admin/);
  add("alice", "admin");
  add("vera", "viewer");
  await page.waitForTimeout(2_500); // the daemon looks each second
  await page.goto(`${base}/silences`);
  assert.equal(await page.locator("text=There is no user yet").count(), 0);
  await signIn(page, "vera", "wrong horse battery");
  assert.match(await page.locator("[role=alert]").innerText(), /Name or password is wrong/);
  assert.equal(await page.inputValue("input[name=name]"), "vera");
  assert.equal(await page.inputValue("input[name=password]"), "");
  await sound(page, "login, refused");
  await signIn(page, "vera");
  assert.equal(new URL(page.url()).pathname, "/silences");
  // A viewer reads: the only form that changes anything ends the session.
  for (const path of ["/", "/endpoints", "/incidents", "/alerts", "/silences", "/decisions", "/deliveries", "/findings", "/sensor"]) {
    await page.goto(base + path);
    const forms = await page.locator("form[method=post]").evaluateAll((all) => all.map((f) => f.getAttribute("action")));
    assert.deepEqual(forms.filter((action) => action !== "/logout"), [], path);
    assert.equal(await page.locator("nav a[href='/users']").count(), 0);
  }
  const refused = await page.goto(`${base}/users`);
  assert.equal(refused.status(), 403);
  await page.goto(`${base}/account`);
  assert.equal(await page.locator(".session").count(), 1);
  await page.click(".me button");
  assert.equal(new URL(page.url()).pathname, "/login");
  await page.goto(`${base}/alerts`);
  assert.equal(new URL(page.url()).pathname, "/login");
  assert.deepEqual(faults(errors), []);
  await close();
});

test("an admin's users, tokens and audit", { skip, timeout: 120_000 }, async () => {
  const { page, errors, close } = await open();
  await page.goto(`${base}/users`);
  await signIn(page, "alice");
  assert.equal(new URL(page.url()).pathname, "/users");
  await page.click("summary:has-text('Add a user')");
  await page.fill(".menu input[name=name]", "bob");
  await page.selectOption(".menu select[name=role]", "analyst");
  await page.fill(".menu input[name=password]", password);
  await page.click(".menu button:has-text('Add')");
  await page.locator("th:has-text('bob')").waitFor();
  await page.goto(`${base}/tokens`);
  await page.click("summary:has-text('Make a token')");
  await page.fill(".menu input[name=name]", "prometheus");
  await page.click(".menu button:has-text('Make')");
  const token = await page.locator("#token").innerText();
  assert.match(token, /^apt_[A-Za-z0-9_-]{43}$/);
  await shot(page, "token-made");
  const metrics = (headers) => fetch(`${base}/metrics`, { headers }).then((r) => r.status);
  assert.equal(await metrics({}), 401);
  assert.equal(await metrics({ authorization: `Bearer ${token}` }), 200);
  await page.goto(`${base}/tokens`);
  assert.ok(!(await page.content()).includes(token), "shown once");
  await page.click("tr:has-text('prometheus') button:has-text('Revoke')");
  await page.locator("text=There is no token").waitFor();
  assert.equal(await metrics({ authorization: `Bearer ${token}` }), 401);
  await page.goto(`${base}/audit`);
  const lines = await page.locator("tbody tr").allInnerTexts();
  for (const said of [/alice[\s\S]*token\.revoke/, /alice[\s\S]*token\.add[\s\S]*prometheus/, /alice[\s\S]*user\.add[\s\S]*bob/, /terminal[\s\S]*user\.add[\s\S]*vera/, /sign-in\.failed[\s\S]*vera/]) {
    assert.ok(lines.some((line) => said.test(line)), `${said} in ${lines.join("\n")}`);
  }
  await page.selectOption("select[name=action]", "token");
  await page.click("button:has-text('Show')");
  assert.equal(await page.locator("tbody tr").count(), 2);
  assert.deepEqual(faults(errors), []);
  await close();
});

test("a new password ends the other sessions", { skip, timeout: 120_000 }, async () => {
  const one = await open(), two = await open();
  for (const { page } of [one, two]) {
    await page.goto(`${base}/account`);
    await signIn(page, "vera");
  }
  assert.ok((await two.page.locator(".session").count()) >= 2);
  await two.page.fill("input[name=current]", password);
  await two.page.fill("input[name=new]", "staple of another kind");
  await two.page.fill("input[name=again]", "staple of another kind");
  await two.page.click("button:has-text('Change password')");
  await two.page.locator(".banner.good:has-text('Your password is changed')").waitFor();
  await one.page.goto(`${base}/alerts`);
  assert.equal(new URL(one.page.url()).pathname, "/login");
  await two.page.goto(`${base}/alerts`);
  assert.equal(new URL(two.page.url()).pathname, "/alerts");
  await one.close();
  await two.close();
});

for (const scheme of ["light", "dark"]) {
  for (const width of [320, 390, 1280, 2560]) {
    test(`its pages at ${width}, ${scheme}`, { skip, timeout: 120_000 }, async () => {
      const { page, errors, close } = await open(width, scheme);
      await page.goto(`${base}/login`);
      await sound(page, "login");
      await shot(page, `login-${width}-${scheme}`);
      await signIn(page, "alice");
      for (const name of ["account", "users", "tokens", "audit"]) {
        await page.goto(`${base}/${name}`);
        await sound(page, name);
        await shot(page, `${name}-${width}-${scheme}`);
      }
      await page.goto(`${base}/users`);
      await page.click("tbody tr:first-child summary");
      await page.click("summary:has-text('Add a user')");
      await sound(page, "users, open");
      await shot(page, `users-open-${width}-${scheme}`);
      assert.deepEqual(faults(errors), []);
      await close();
    });
  }
}
