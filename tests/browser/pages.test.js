// Every page at three widths, light and dark: nothing scrolls sideways, axe-core finds no violation of
// WCAG 2.2 AA, the console is silent and the content policy holds. A new page gets a line in `pages`.
import { test } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { base, open, shot, until } from "./demo.js";

const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const rules = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };

const endpoint = (await until("an endpoint", "/api/v1/endpoints", (e) => e.length > 8))[0].key;
const alerts = await until("an alert of enumeration", "/api/v1/alerts?kind=enumeration", (a) => a.length > 0);
const principal = (await until("a principal", "/api/v1/principals?incidents=open&kind=identity", (p) => p.length > 0))[0].id;
const [spec] = await until("a spec", "/api/v1/specs", (s) => s.length > 0);
const incident = (await until("an incident", "/api/v1/incidents", (i) => i.length > 0))[0].id;

const pages = {
  overview: "/",
  endpoints: "/endpoints",
  "endpoints-empty": "/endpoints?q=nothing-like-it",
  "endpoints-wrong": "/endpoints?q=status:shadow+colour:red",
  "endpoints-tree": "/endpoints?view=tree",
  "endpoints-branch": "/endpoints?view=tree&at=api.shop.example",
  mark: "/endpoints/mark?action=tag&value=payments&which=all",
  endpoint: `/endpoints/${endpoint}`,
  "endpoint-merge": `/endpoints/${endpoint}/merge?part=0`,
  accept: "/endpoints/accept",
  incidents: "/incidents",
  "incidents-empty": "/incidents?kind=tampering",
  incident: `/incidents/${incident}`,
  principals: "/principals",
  "principals-empty": "/principals?q=nobody-like-it",
  principal: `/principals/${encodeURIComponent(principal)}`,
  silences: "/silences",
  automation: "/automation",
  alerts: "/alerts",
  alert: `/alerts/${alerts[0].id}`,
  specs: "/specs",
  spec: `/specs/${spec.id}`,
  "spec-unseen": `/specs/${spec.id}?show=unseen`,
  "spec-undocumented": `/specs/${spec.id}?show=undocumented`,
  "spec-drift": `/specs/${spec.id}?show=drift`,
  "spec-diff": `/specs/${spec.id}/diff`,
  "spec-new": "/specs/new",
  findings: "/findings",
  "findings-empty": "/findings?q=nothing-like-it",
  coverage: "/coverage",
  "coverage-empty": "/coverage?q=nobody",
  owasp: "/owasp",
  settings: "/settings",
  "settings-empty": "/settings?q=nothing-like-it",
  sinks: "/settings/sinks",
  retention: "/settings/retention",
  api: "/api",
  reference: "/api?topic=decisions",
  decisions: "/decisions",
  sensor: "/sensor",
};

// What a violation is, where, and the rule: all of it in the message of the failure.
async function violations(page) {
  // The content policy forbids a script element, not what a debugger evaluates.
  await page.evaluate(axe);
  const found = await page.evaluate((rules) => axe.run(document, rules), rules);
  return found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join(" | ")}`);
}

for (const scheme of ["light", "dark"]) {
  for (const width of [320, 390, 1280, 2560]) {
    test(`every page at ${width}, ${scheme}`, { timeout: 400_000 }, async () => {
      const { page, errors, close } = await open(width, scheme);
      const wrong = [];
      for (const [name, path] of Object.entries(pages)) {
        const answer = await page.goto(base + path);
        if (answer.status() !== 200) wrong.push(`${name}: status ${answer.status()}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (wide > 0) wrong.push(`${name} scrolls sideways by ${wide}`);
        if (width !== 320) {
          wrong.push(...(await violations(page)).map((v) => `${name}: ${v}`));
          await shot(page, `${name}-${width}-${scheme}`);
        }
      }
      assert.deepEqual(wrong, []);
      assert.deepEqual(errors, []);
      await close();
    });
  }
}
