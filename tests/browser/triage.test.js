// Triage as it is done at 3 a.m.: by keys, several at once, muted until a time, with the evidence taken
// along; and that a page which is kept fresh disturbs nobody, says when it is stale, and recovers.
import { test } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { base, open, shot, until } from "./demo.js";

await until("incidents", "/api/v1/incidents?view=waiting", (i) => i.length > 5);
await until("an enumeration alert", "/api/v1/alerts?kind=enumeration", (a) => a.length > 0);

const list = async (query) => (await (await fetch(`${base}/api/v1/incidents?${query}`)).json()).items;
const focused = (page) => page.evaluate(() => document.activeElement?.closest("tr[data-row]")?.dataset.row ?? null);

test("by keys: move, open, come back, acknowledge, select, note", { timeout: 120_000 }, async () => {
  const { page, errors, close } = await open();
  await page.goto(`${base}/incidents`);
  const rows = await page.locator("tr[data-row]").evaluateAll((all) => all.map((r) => r.dataset.row));
  await page.keyboard.press("j");
  assert.equal(await focused(page), rows[0]);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  assert.equal(await focused(page), rows[1]);
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/incidents/${rows[1]}`);
  await page.keyboard.press("j");
  await page.waitForURL(`**/incidents/${rows[2]}`);
  await page.keyboard.press("u");
  await page.waitForURL(/\/incidents(\?|$)/);
  // Acknowledged in place: the row leaves what waits, and the next one is looked at.
  await page.keyboard.press("j");
  const first = await focused(page);
  await page.keyboard.press("a");
  await page.locator(".toast:has-text('1 acknowledged')").waitFor();
  await page.locator(`#r-${first}`).waitFor({ state: "detached" });
  assert.equal((await list(`q=${first}`))[0].status, "acknowledged");
  assert.ok(await focused(page), "the place in the list is lost");
  // Keys are letters where something is typed.
  await page.keyboard.press("/");
  await page.keyboard.type("a jxr");
  assert.equal(await page.inputValue("input[name=q]"), "a jxr");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  const help = page.locator("dialog[open]");
  assert.match(await help.innerText(), /acknowledge/);
  await shot(page, "triage-keys");
  await help.locator("input[type=checkbox]").uncheck();
  await help.locator("button").click();
  assert.equal(await page.locator("dialog:visible").count(), 0, "a closed dialog is seen");
  await page.keyboard.press("j");
  assert.equal(await focused(page), null, "keys that are off act");
  await page.click("[data-keys-help]");
  await help.locator("input[type=checkbox]").check();
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  const noted = await focused(page);
  await page.keyboard.press("n");
  await page.keyboard.type("asked the team");
  await page.click(".act-more button:has-text('Add the note')");
  await page.locator(".toast:has-text('1 noted')").waitFor();
  const [incident] = await list(`q=${noted}`);
  assert.deepEqual([incident.status, incident.note], ["open", "asked the team"]);
  assert.deepEqual(errors, []);
  await close();
});

test("several at once after one question, muted until a time of the reader's clock", { timeout: 120_000 }, async () => {
  const { page, errors, close } = await open(1280, "light", { timezoneId: "Asia/Tokyo" });
  await page.goto(`${base}/incidents?view=all&sort=first`);
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  assert.equal(await page.locator("[data-selected]").innerText(), "2 selected");
  const ids = await page.locator("input[name=id]:checked").evaluateAll((all) => all.map((b) => b.value));
  await page.keyboard.press("m");
  assert.match(await page.locator(".act-more [data-zone-label]").innerText(), /Asia\/Tokyo/);
  const day = new Date(Date.now() + 3 * 86_400_000).toISOString().slice(0, 10);
  await page.fill(".act-more input[name=until]", `${day}T09:00`);
  await page.click(".act-more button:has-text('Mute')");
  const question = page.locator("dialog[open]");
  assert.match(await question.innerText(), /Mute: 2 incidents/);
  await question.locator("button:has-text('Yes')").click();
  await page.locator(".toast:has-text('2 muted')").waitFor();
  for (const id of ids) {
    const [incident] = await list(`q=${id}`);
    assert.equal(incident.status, "muted");
    assert.equal(incident.status_until, Date.parse(`${day}T00:00:00Z`) / 1000, "nine in Tokyo");
  }
  assert.deepEqual(errors, []);
  await close();
});

test("without script the same by forms", { timeout: 120_000 }, async () => {
  const { page, close } = await open(1280, "light", { javaScriptEnabled: false });
  await page.goto(`${base}/alerts?view=waiting&kind=drift`);
  const boxes = page.locator("input[name=id]");
  const ids = [await boxes.nth(0).inputValue(), await boxes.nth(1).inputValue()];
  await boxes.nth(0).check();
  await boxes.nth(1).check();
  await page.click(".bulk button:has-text('Resolve')");
  assert.match(await page.locator("h1").innerText(), /Resolve 2 alerts/);
  await page.click("button:has-text('Yes, all 2')");
  assert.match(page.url(), /kind=drift/);
  for (const id of ids) {
    const alert = await (await fetch(`${base}/api/v1/alerts/${id}`)).json();
    assert.equal(alert.status, "resolved");
  }
  await close();
});

for (const javaScriptEnabled of [true, false]) {
  test(`all that match, after a page that says which${javaScriptEnabled ? "" : ", without script"}`, { timeout: 120_000 }, async () => {
    const { page, errors, close } = await open(1280, "light", { javaScriptEnabled });
    // Alerts of callers alone, which no other test here settles.
    const query = "q=api.shop.example&severity=low&view=all";
    const before = (await (await fetch(`${base}/api/v1/alerts?${query}`)).json()).items;
    assert.ok(before.length > 2, `${before.length} alerts`);
    await page.goto(`${base}/alerts?${query}&limit=2`);
    const all = page.locator("label:has([data-all])");
    const said = Number((await all.innerText()).match(/All ([\d,]+)\s+that match/)[1].replaceAll(",", ""));
    assert.equal(said, before.length);
    await all.locator("input").check();
    if (javaScriptEnabled) {
      assert.match(await page.locator("[data-selected]").innerText(), /All of them/);
      await shot(page, "triage-all");
      // A refresh that brings one more leaves what is meant as it was.
      const stamp = await all.locator("input").inputValue();
      await page.evaluate(() => { const box = document.querySelector("[data-all]"); box.value = "1-old"; });
      await page.evaluate(() => apitap.refresh(true));
      assert.equal(await all.locator("input").inputValue(), "1-old");
      assert.ok(await all.locator("input").isChecked());
      await page.keyboard.press("Escape");
      assert.ok(!(await all.locator("input").isChecked()), "Escape takes all ticks back");
      await page.evaluate((stamp) => { document.querySelector("[data-all]").value = stamp; }, stamp);
      await all.locator("input").check();
    }
    await page.locator("#more > summary").click();
    await page.fill(".act-more textarea", `all of them, ${javaScriptEnabled}`);
    await page.click(".act-more button:has-text('Add the note')");
    await page.locator(`h1:has-text('Add a note to ${said} alerts')`).waitFor();
    assert.equal(await page.locator("input[name=id]").count(), said);
    await shot(page, "triage-all-asked");
    await page.click(`button:has-text('Yes, all ${said}')`);
    await page.waitForURL(/\/alerts\?/);
    for (const { id } of before) {
      const alert = await (await fetch(`${base}/api/v1/alerts/${id}`)).json();
      assert.equal(alert.note, `all of them, ${javaScriptEnabled}`);
    }
    assert.deepEqual(errors, []);
    await close();
  });
}

test("incidents are narrowed by what raised them", { timeout: 60_000 }, async () => {
  const { page, errors, close } = await open(1600);
  await page.goto(`${base}/incidents?view=all`);
  const choice = page.locator("#facet-detector a").first();
  const [name, n] = [await choice.locator("span").first().innerText(), await choice.locator(".n").innerText()];
  await choice.click();
  assert.match(page.url(), /detector=/);
  assert.equal(await page.locator("tr[data-row]").count(), Number(n));
  for (const incident of await list(`detector=${encodeURIComponent(name)}`)) assert.ok(incident.detectors.includes(name));
  const csv = await (await fetch(`${base}/api/v1/incidents.csv?detector=${encodeURIComponent(name)}`)).text();
  assert.equal(csv.trim().split("\r\n").length, 1 + Number(n));
  assert.match(csv, /^id,title,severity,status,kinds,detectors,/);
  assert.deepEqual(errors, []);
  await close();
});

test("the evidence is one download", { timeout: 60_000 }, async () => {
  const { page, errors, close } = await open();
  await page.goto(`${base}/incidents?kind=enumeration&view=all`);
  await page.click("tbody tr .path a >> nth=0");
  await page.locator("#why .measures").first().waitFor();
  await shot(page, "triage-incident");
  await page.click("#bundle > summary");
  const coming = page.waitForEvent("download");
  await page.click("#bundle a:has-text('Bundle, masked')");
  const download = await coming;
  assert.match(download.suggestedFilename(), /^apitap-incident-[0-9a-f]+\.zip$/);
  const bytes = readFileSync(await download.path());
  assert.equal(bytes.subarray(0, 2).toString(), "PK");
  for (const name of ["incident.json", "alerts.jsonl", "endpoints.jsonl", "timeline.csv", "filters.txt", "README.txt"]) {
    assert.ok(bytes.includes(`/${name}`), `${name} is not in it`);
  }
  assert.deepEqual(errors, []);
  await close();
});

test("a refresh keeps what is typed, ticked, opened, focused and where one is; new rows wait to be asked for", { timeout: 120_000 }, async () => {
  const { page, errors, close } = await open();
  await page.goto(`${base}/alerts?view=all&sort=first`);
  await page.evaluate(() => { document.querySelector("tr[data-row]").remove(); }); // as if it came later
  await page.locator("input[name=id]").nth(2).check();
  await page.locator("#more > summary").click();
  await page.fill(".act-more textarea", "half a no");
  await page.evaluate(() => { scrollTo(0, 200); apitap.refresh(true); });
  await page.locator("[data-new]:has-text('new')").waitFor();
  assert.equal(await page.inputValue(".act-more textarea"), "half a no");
  assert.equal(await page.evaluate(() => document.activeElement.name), "note");
  assert.ok(await page.locator("input[name=id]").nth(2).isChecked());
  assert.ok(await page.locator("#more").evaluate((d) => d.open));
  assert.ok((await page.evaluate(() => scrollY)) > 100);
  const before = await page.locator("tr[data-row]").count();
  await page.click("[data-show]");
  await page.waitForFunction((n) => document.querySelectorAll("tr[data-row]").length > n, before);
  assert.deepEqual(errors, []);
  await close();
});

test("a page says when it is stale, and recovers", { timeout: 120_000 }, async () => {
  const { page, context, close } = await open();
  await page.goto(`${base}/incidents`);
  await page.waitForTimeout(1_500);
  // Streams that stand are not cut by `setOffline`: this one ends as a lost connection does.
  await context.route("**/live", (route) => route.abort());
  await page.reload();
  await page.locator(".stale:has-text('Connection lost. Last updated')").waitFor();
  await shot(page, "triage-stale");
  await context.unroute("**/live");
  await page.locator(".stale:has-text('Connected again')").waitFor({ timeout: 60_000 });
  await page.locator(".stale").waitFor({ state: "hidden", timeout: 60_000 });
  await close();
});
