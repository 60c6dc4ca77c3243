// First-party and optional: without it every page still reads. Keeps pages fresh by the live
// stream, says when they are not, and shows times in the reader's zone with the exact one at hand.
// A refresh changes what has changed and nothing else: focus, selection, scroll, what is typed,
// ticked or opened stay. Rows of a list that is being worked on never move by themselves.
"use strict";
{
const main = document.getElementById("main");

const year = new Date().getFullYear();
const short = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" };
const thisYear = new Intl.DateTimeFormat(undefined, short);
const otherYear = new Intl.DateTimeFormat(undefined, { year: "numeric", ...short });

function localTimes(root) {
  for (const t of root.querySelectorAll("time[datetime]")) {
    const at = new Date(t.dateTime);
    if (Number.isNaN(at.getTime()) || t.dataset.done) continue;
    t.dataset.done = "1";
    t.title = t.dateTime;
    t.textContent = (at.getFullYear() === year ? thisYear : otherYear).format(at);
  }
}

function clock(at) {
  return new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }).format(at);
}

function box(name) {
  const made = document.createElement("div");
  made.className = name;
  made.setAttribute("role", "status");
  made.hidden = true;
  document.body.append(made);
  return made;
}

// === One page made like another ===

// Not `node.id`: of a form that is its field of that name.
const key = (node) => node.nodeType === Node.ELEMENT_NODE && node.getAttribute("id");
// What the reader or a script sets, and the server knows nothing of.
function isOwn(node, name) {
  return node.matches("details, dialog") ? name === "open" : name === "tabindex" && node.matches(".scroll");
}

function attributes(from, to) {
  for (const { name } of [...from.attributes]) if (!to.hasAttribute(name) && !isOwn(from, name)) from.removeAttribute(name);
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value && !isOwn(from, name)) from.setAttribute(name, value);
}

function patch(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
  } else if (!from.isEqualNode(to)) {
    attributes(from, to);
    children(from, to);
  }
}

function children(from, to) {
  const keyed = new Map();
  for (const child of from.children) if (key(child)) keyed.set(key(child), child);
  let at = from.firstChild;
  for (const next of [...to.childNodes]) {
    const alike = at && !key(at) && !key(next) && at.nodeType === next.nodeType && at.nodeName === next.nodeName;
    const found = key(next) ? keyed.get(key(next)) : alike ? at : null;
    if (found) {
      if (found === at) at = at.nextSibling;
      else from.insertBefore(found, at);
      patch(found, next);
    } else {
      from.insertBefore(document.importNode(next, true), at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// Rows stay where they are: new ones are offered, those that have left are dimmed. What all of them
// are stays what it was, too.
function holdRows(to) {
  const rows = (root) => [...root.querySelectorAll("table[data-worklist] > tbody > tr")];
  const [here, there] = [rows(main), new Map(rows(to).map((r) => [r.id, r]))];
  if (!here.length) return;
  const body = to.querySelector("table[data-worklist] > tbody");
  const known = new Set(here.map((r) => r.id));
  const fresh = [...there.keys()].filter((id) => !known.has(id)).length;
  if (!body) return;
  const held = here.map((row) => {
    if (there.has(row.id)) return there.get(row.id);
    const gone = row.cloneNode(true);
    gone.classList.add("gone");
    return gone;
  });
  const left = held.filter((r) => r.classList.contains("gone")).length;
  body.replaceChildren(...held);
  const all = main.querySelector("[data-all]");
  if (all) to.querySelector("[data-all]")?.parentNode.replaceWith(all.parentNode.cloneNode(true));
  const offer = to.querySelector("[data-new]");
  if (!offer || !(fresh || left)) return;
  offer.hidden = false;
  const words = [fresh && `${fresh} new`, left && `${left} no longer in this list`].filter(Boolean).join(", ");
  const show = document.createElement("button");
  Object.assign(show, { type: "button", className: "small", textContent: "Show" });
  show.dataset.show = "";
  offer.replaceChildren(`${words} `, show);
}

const after = [];
let updated = new Date();

// All that has changed, whatever moves; `gently`: what is worked on stays in its place.
async function refresh(gently = false) {
  if (main.querySelector("[data-still]")) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (answer.redirected) location.reload();
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const to = page.getElementById("main");
  localTimes(to);
  if (gently) holdRows(to);
  const focused = document.activeElement;
  patch(main, to);
  for (const part of [".side nav", ".side .nav > summary", ".side .health"]) {
    const [from, next] = [document.querySelector(part), page.querySelector(part)];
    if (from && next) patch(from, next);
  }
  for (const done of after) done();
  // A row that moved has lost it.
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  updated = new Date();
}

// === When ===

// Milliseconds after an event until the page asks again; what a page does not name it does not hear.
const delays = { alert: 1_000, inventory: 10_000, sensor: 5_000 };
const hears = {
  incidents: ["alert"], alerts: ["alert"], silences: ["alert"], deliveries: ["alert", "sensor"],
  sensor: ["sensor"], overview: ["alert", "inventory"], coverage: ["inventory"],
};
const heard = hears[main.dataset.live] ?? ["alert", "inventory"];
const waits = new Map();
let missed = false;

async function ask() {
  if (document.hidden) { missed = true; return; }
  missed = false;
  try {
    await refresh(true);
    fresh();
  } catch {
    lost();
  }
}

function soon(kind) {
  if (!heard.includes(kind) || waits.has(kind)) return;
  waits.set(kind, setTimeout(() => { waits.delete(kind); ask(); }, delays[kind]));
}

// === Stale, and fresh again ===

// The server says something at least every 15 seconds; where a sensor runs, its analysis does each
// second, and beats alone mean that it does not go on.
const SILENCE = 40_000;
const banner = box("stale");
let last = Date.now();
let told = null;
let trouble = null;
const isStill = () => told !== null && Date.now() - told > SILENCE;

function say(words, seconds) {
  banner.textContent = words;
  banner.hidden = false;
  if (seconds) setTimeout(() => { banner.hidden = !trouble; }, seconds * 1_000);
}

function lost() {
  if (trouble !== "lost") say(`Connection lost. Last updated ${clock(updated)}; trying again.`);
  trouble = "lost";
  // What the side bar says is as old; the next refresh puts it right.
  side("bad", "Connection lost");
}

function still() {
  if (trouble === "still") return;
  say(`The analysis stands still. What is shown is as it was at ${clock(told)}.`);
  trouble = "still";
  refresh(true).catch(lost);
}

function fresh() {
  if (!trouble || isStill()) return;
  const again = trouble === "lost" ? "Connected again" : "The analysis goes on";
  trouble = null;
  say(`${again}. Updated ${clock(updated)}.`, 5);
}

// How the sensor does, on pages that ask for nothing by it, too. Numbers that grow are not read out
// each second.
let shown = 0;
function health(event) {
  const { tone, health } = JSON.parse(event.data);
  const is = document.querySelector(".side .health").className;
  if (is === `health ${tone}`.trim() && last - shown < delays.inventory) return;
  shown = last;
  side(tone, health);
}

function side(tone, words) {
  const health = document.querySelector(".side .health");
  health.className = `health ${tone}`.trim();
  health.querySelector("[data-live-state]").textContent = words;
}

const source = new EventSource("/live");
for (const kind of ["inventory", "sensor", "alert", "beat", "resync"]) {
  source.addEventListener(kind, (event) => {
    last = Date.now();
    if (kind === "sensor") { told = last; health(event); }
    if (trouble) ask();
    soon(kind);
  });
}
source.addEventListener("resync", async () => {
  await ask();
  if (!trouble) say(`Fell behind the live stream: loaded anew at ${clock(updated)}.`, 10);
});
source.addEventListener("open", () => { last = Date.now(); if (trouble) ask(); });
source.addEventListener("error", lost);
setInterval(() => {
  if (Date.now() - last > SILENCE) lost();
  else if (isStill()) still();
}, 5_000);
document.addEventListener("visibilitychange", () => { if (!document.hidden && missed) ask(); });

// === Small things ===

document.addEventListener("click", async (event) => {
  if (event.target.closest("[data-show]")) {
    const at = main.querySelector("table[data-worklist] > tbody > tr");
    await refresh().catch(lost);
    (at?.isConnected ? at : main).querySelector("[data-title]")?.focus();
  }
  // Text goes to the clipboard; where the browser gives none (plain HTTP by name), it is selected.
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(text);
    button.textContent = "Selected";
  }
});

// Where a closed <details> cannot be shown by style alone, the side bar is opened by hand.
const menu = document.querySelector(".side .nav");
const wide = matchMedia("(min-width: 1100px)");
function openMenu() { menu.open = wide.matches && !CSS.supports("selector(::details-content)"); }
wide.addEventListener("change", openMenu);
openMenu();

const toast = box("toast");
// Says what was done, seen and heard.
function tell(text) {
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { toast.hidden = true; }, 12_000);
}

localTimes(document);
// What other scripts of ours use; `after` is called after each refresh, and once now.
globalThis.apitap = { refresh, say: tell, lost, localTimes, after(done) { after.push(done); done(); } };
}
