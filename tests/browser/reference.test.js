// The API's reference: every operation of the document is on it, the first command of each topic that needs nothing filled
// in works as it stands, is copied by its button, and a link to a type opens it.
import { test } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { base, open } from "./demo.js";

test("the reference has every operation, and its commands work", { timeout: 180_000 }, async () => {
  const { page, context, errors, close } = await open(1280);
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: base });
  const document = await (await fetch(`${base}/api/v1/openapi.json`)).json();
  const ids = Object.values(document.paths).flatMap((item) => Object.values(item).map((o) => o.operationId));
  await page.goto(`${base}/api`);
  const links = await page.locator("main td a").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
  assert.deepEqual(links.map((l) => l.split("#")[1]).sort(), [...ids].sort());
  for (const topic of new Set(links.map((l) => l.split("#")[0]))) {
    const answer = await page.goto(base + topic);
    assert.ok((await answer.body()).length < 200 * 1024, `${topic} is too heavy`);
    // One that needs nothing filled in, and ends.
    const command = page.locator("[data-copy]", { hasNotText: /-d|-X|\/live|\/[A-Z]{2}/ }).first();
    if (await command.count() === 0) continue;
    const line = await command.innerText();
    await command.locator("xpath=..").getByRole("button").click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), line);
    execFileSync("sh", ["-c", `${line.replace("curl -s", "curl -sf --max-time 20")} -o /dev/null`]);
  }
  await page.goto(`${base}/api?topic=alerts`);
  await page.locator('a[href="#ListOfIncident"]').first().click();
  await page.locator("details#ListOfIncident[open] td", { hasText: "Incident" }).first().waitFor();
  assert.deepEqual(errors, []);
  await close();
});
