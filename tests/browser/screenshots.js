// The README's pictures, of the demo once its attacks have rung: `make screenshots`. SHOTS is the folder.
import { test } from "node:test";
import { writeFileSync } from "node:fs";
import { base, open, until } from "./demo.js";

const endpoints = await until("the inventory", "/api/v1/endpoints", (e) => e.length > 8);
await until("the flood", "/api/v1/alerts?kind=volume", (a) => a.length > 20);
const [incident] = await until("an incident", "/api/v1/incidents?kind=enumeration", (i) => i.length > 0);
const busiest = endpoints.reduce((a, b) => (b.requests > a.requests ? b : a));

const pictures = {
  overview: "/",
  endpoints: "/endpoints",
  endpoint: `/endpoints/${busiest.key}#history`,
  incident: `/incidents/${incident.id}`,
  sensor: "/sensor",
};

test("pictures", { timeout: 120_000 }, async () => {
  const { page, context, close } = await open(1440);
  const chromium = await context.newCDPSession(page); // WebP is half of a PNG, and Playwright has none
  for (const [name, path] of Object.entries(pictures)) {
    await page.goto(base + path);
    const { data } = await chromium.send("Page.captureScreenshot", { format: "webp", quality: 90 });
    writeFileSync(`${process.env.SHOTS}/${name}.webp`, Buffer.from(data, "base64"));
  }
  await close();
});
