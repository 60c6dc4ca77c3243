// Data that gets old, and loss: what the reader is told when no packet comes, when the analysis stands
// still, when the server hangs or is gone, when the page falls behind the live stream, and when the
// capture drops packets; and that each is taken back once it is over.
import { test } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { base, open, shot, until } from "./demo.js";

const program = process.env.APITAP ?? new URL("../../target/debug/apitap", import.meta.url).pathname;
const host = "127.0.0.1";
const banner = (page, words) => page.locator(`.stale:has-text('${words}')`);
const side = (page, words) => page.locator(`.side .health:has-text('${words}')`);

await until("an alert of enumeration", "/api/v1/alerts?kind=enumeration", (a) => a.length > 0);

async function listening(server) {
  await once(server.listen(0, host), "listening");
  return server.address().port;
}

async function freePort() {
  const server = createServer();
  const port = await listening(server);
  await new Promise((closed) => server.close(closed));
  return port;
}

// Stands between the page and the demo: what the live stream says is the test's own.
async function between() {
  const [streams, demo] = [new Set(), new URL(base)];
  const server = createServer((asked, answer) => {
    if (asked.url === "/live") {
      answer.writeHead(200, { "content-type": "text/event-stream" }).write(":\n\n");
      streams.add(answer);
      answer.on("close", () => streams.delete(answer));
      return;
    }
    const headers = { ...asked.headers, host: demo.host };
    const on = request({ host, port: demo.port, path: asked.url, method: asked.method, headers }, (told) => {
      answer.writeHead(told.statusCode, told.headers);
      told.pipe(answer);
    });
    asked.pipe(on);
  });
  const port = await listening(server);
  return {
    base: `http://${host}:${port}`,
    async heard() { while (!streams.size) await new Promise((r) => setTimeout(r, 50)); },
    say(kind, data = {}) { for (const s of streams) s.write(`event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`); },
    close() { server.closeAllConnections(); server.close(); },
  };
}

test("a page that fell behind the live stream loads anew, and says so", { timeout: 60_000 }, async () => {
  const live = await between();
  const { page, errors, close } = await open();
  await page.goto(`${live.base}/endpoints`);
  await live.heard();
  const rows = page.locator("[data-rows] tbody tr");
  const all = await rows.count();
  await rows.first().evaluate((row) => row.remove()); // what it missed
  live.say("resync");
  await banner(page, "Fell behind the live stream: loaded anew at").waitFor();
  assert.equal(await rows.count(), all);
  await shot(page, "stale-resync");
  await page.locator(".stale").waitFor({ state: "hidden" });
  assert.deepEqual(errors, []);
  await close();
  live.close();
});

test("an analysis that stands still is told apart from a server that is there", { timeout: 60_000 }, async () => {
  const live = await between();
  const { page, errors, close } = await open();
  await page.clock.install();
  await page.goto(`${live.base}/incidents`);
  await live.heard();
  const sensor = { tone: "good", health: "Live, says the test" };
  live.say("sensor", sensor);
  await side(page, sensor.health).waitFor();
  // The server's own beats go on; each is heard before more time passes.
  for (let n = 0; n < 4; n++) {
    await page.clock.runFor(14_000);
    live.say("beat");
    await page.waitForTimeout(200);
  }
  await banner(page, "The analysis stands still. What is shown is as it was at").waitFor();
  await shot(page, "stale-still");
  live.say("beat");
  await page.waitForTimeout(500);
  assert.ok(await banner(page, "stands still").isVisible(), "a beat is no news");
  live.say("sensor", sensor);
  await banner(page, "The analysis goes on. Updated").waitFor();
  await page.clock.runFor(6_000);
  await page.locator(".stale").waitFor({ state: "hidden" });
  assert.deepEqual(errors, []);
  await close();
  live.close();
});

// A daemon on the loopback interface that sees two ports of this test's: HTTP, and what is too much.
async function sensor(dir) {
  const service = createServer((_, answer) => answer.end("{}"));
  const [web, http, flood] = [await freePort(), await listening(service), await freePort()];
  writeFileSync(`${dir}/apitap.toml`, `[web]\nlisten = "${host}:${web}"\n[store]\npath = "${dir}/state"\n
[capture]\ninterfaces = ["lo"]\nfilter = "tcp port ${http} or udp port ${flood}"\nbuffer = "1MiB"\nchecksums = "off"\n`);
  const said = [];
  const there = `http://${host}:${web}`;
  const it = {
    base: there,
    said: () => said.join(""),
    async start() {
      it.process = spawn(program, ["run", "--config", `${dir}/apitap.toml`], { stdio: ["ignore", "pipe", "pipe"] });
      for (const out of [it.process.stdout, it.process.stderr]) out.on("data", (text) => said.push(text));
      for (let i = 0; i < 150 && it.process.exitCode === null; i++) {
        if (await fetch(`${there}/readyz`).then((r) => r.ok, () => false)) return true;
        await new Promise((r) => setTimeout(r, 200));
      }
      return false;
    },
    async call() {
      for (const id of [1, 2, 3]) await (await fetch(`http://${host}:${http}/v1/orders/${id}`)).text();
    },
    async flood(packets) {
      const socket = createSocket("udp4");
      const much = Buffer.alloc(1_000);
      for (let n = 0; n < packets; n += 50) {
        const sent = Array.from({ length: 50 }, () => new Promise((done) => socket.send(much, flood, host, done)));
        await Promise.all(sent);
      }
      socket.close();
    },
    async end() {
      it.process.kill("SIGKILL");
      service.closeAllConnections();
      service.close();
    },
  };
  return it;
}

const needed = process.env.APITAP_NEED_NETNS !== undefined;

test("a live sensor: silence, loss, a server that hangs, dies and comes back", { timeout: 240_000 }, async (t) => {
  const dir = mkdtempSync(`${tmpdir()}/apitap-stale-`);
  const it = await sensor(dir);
  const { page, close } = await open();
  try {
    if (!(await it.start())) {
      assert.ok(!needed && /right|permi/i.test(it.said()), it.said());
      return t.skip("no right to capture on lo");
    }
    await it.call();
    await page.goto(`${it.base}/incidents`);
    await side(page, "Live").waitFor();

    // No packets: after a minute the page says so, and so does an alert; the next packet takes it back.
    await side(page, "Silent since").waitFor({ timeout: 90_000 });
    await page.reload();
    assert.match(await page.locator(".empty-state").innerText(), /Silent since .* What it does not see rings nothing/);
    await shot(page, "stale-silent");
    const silent = await page.request.get(`${it.base}/sensor`);
    assert.match(await silent.text(), /class="banner warn"><p><strong>Silent since/);
    await it.call();
    await side(page, "Live").waitFor({ timeout: 20_000 });

    // Loss: while the daemon stands, more comes than the kernel's ring holds.
    it.process.kill("SIGSTOP");
    await it.flood(6_000);
    it.process.kill("SIGCONT");
    await side(page, "tap doctor").waitFor({ timeout: 20_000 });
    await page.goto(`${it.base}/sensor`);
    assert.match(await page.locator(".banner").innerText(), /lo: see the tap doctor/);
    assert.match(await page.locator("main").innerText(), /dropped by the kernel, whose buffer was full/);
    assert.match(await page.locator("main").innerText(), /Loss began .* of this hour: [\d,]+ packets dropped/);
    await shot(page, "stale-loss");
    await page.goto(`${it.base}/alerts`);
    await page.locator("tr[data-row]:has-text('the kernel is dropping packets')").waitFor({ timeout: 20_000 });
    await page.locator("tr[data-row]:has-text('lo has gone silent')").waitFor();

    // The server hangs: its connections stand, and nothing comes.
    await page.clock.install();
    await page.goto(`${it.base}/alerts`);
    await page.waitForTimeout(1_500);
    it.process.kill("SIGSTOP");
    await page.clock.fastForward(46_000);
    await banner(page, "Connection lost. Last updated").waitFor({ timeout: 10_000 });
    await shot(page, "stale-hangs");
    it.process.kill("SIGCONT");
    await banner(page, "Connected again. Updated").waitFor({ timeout: 20_000 });
    await page.clock.fastForward(6_000);
    await page.locator(".stale").waitFor({ state: "hidden" });

    // It dies, and another takes its place.
    it.process.kill("SIGKILL");
    await banner(page, "Connection lost. Last updated").waitFor({ timeout: 10_000 });
    assert.ok(await it.start(), it.said());
    await banner(page, "Connected again. Updated").waitFor({ timeout: 60_000 });
    await page.locator("tr[data-row]:has-text('the kernel is dropping packets')").waitFor();
  } finally {
    await close();
    await it.end();
    rmSync(dir, { recursive: true, force: true });
  }
});
