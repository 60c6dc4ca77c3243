// One demo for all tests: its three days of history are read once. APITAP is the program; SHOTS, where
// it is set, is a folder for screenshots; arguments are the test files to run (all by default).
import { spawn, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";

const here = new URL(".", import.meta.url).pathname;
const program = process.env.APITAP ?? `${here}../../target/debug/apitap`;
const port = await new Promise((found) => {
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address();
    probe.close(() => found(port));
  });
});
const base = `http://127.0.0.1:${port}`;
const demo = spawn(program, ["demo", "--listen", `127.0.0.1:${port}`], { stdio: "inherit" });
process.on("exit", () => demo.kill("SIGTERM"));
for (let i = 0; ; i++) {
  if (await fetch(`${base}/readyz`).then((r) => r.ok, () => false)) break;
  if (i >= 300 || demo.exitCode !== null) {
    console.error("the demo did not start");
    process.exit(1);
  }
  await new Promise((r) => setTimeout(r, 200));
}
const asked = process.argv.slice(2);
const files = asked.length ? asked : readdirSync(here).filter((f) => f.endsWith(".test.js")).sort();
const run = spawnSync("node", ["--test", "--test-concurrency=1", ...files], { cwd: here, stdio: "inherit", env: { ...process.env, BASE: base, APITAP: program } });
process.exit(run.status ?? 1);
