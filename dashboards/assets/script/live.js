// First-party and optional: without it every page still reads. Keeps pages fresh by the live
// stream, and shows times in the reader's zone with the exact one at hand.
"use strict";

function localTimes(root) {
  for (const t of root.querySelectorAll("time[datetime]")) {
    const at = new Date(t.dateTime);
    if (Number.isNaN(at.getTime()) || t.dataset.done) continue;
    t.dataset.done = "1";
    t.title = t.dateTime;
    const options = { dateStyle: "medium", timeStyle: "short" };
    t.textContent = new Intl.DateTimeFormat(undefined, options).format(at);
  }
}

const main = document.getElementById("main");
const state = document.querySelector("[data-live-state]");
let waiting = null;
let stale = false;

// Pages with a form that is being filled in are left alone, so are open menus and ticked rows, and those
// that say so.
function busy() {
  const at = document.activeElement;
  if (at && at.matches("input, select, textarea")) return true;
  return main.querySelector("details.menu[open], td input:checked") !== null;
}

async function refresh() {
  waiting = null;
  if (busy() || document.hidden || main.querySelector("[data-still]")) { stale = true; return; }
  stale = false;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  // The session is over: the whole page asks to sign in.
  if (answer.redirected) return location.reload();
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = new Map([...main.querySelectorAll("details")].map((d) => [d.id, d.open]));
  main.replaceChildren(...page.getElementById("main").childNodes);
  for (const d of main.querySelectorAll("details")) d.open = open.get(d.id) ?? d.open;
  document.querySelector("nav").replaceChildren(...page.querySelector("nav").childNodes);
  state.textContent = page.querySelector("[data-live-state]").textContent;
  localTimes(main);
}

function soon() {
  if (waiting === null) waiting = setTimeout(() => refresh().catch(() => {}), 3000);
}

// A filter goes to the clipboard; where the browser gives none (plain HTTP by name), it is selected.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
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

localTimes(document);
const source = new EventSource("/live");
for (const kind of ["inventory", "sensor", "alert", "resync"]) source.addEventListener(kind, soon);
source.addEventListener("error", () => { state.textContent = "Connection lost; trying again"; });
document.addEventListener("visibilitychange", () => { if (!document.hidden && stale) soon(); });
document.addEventListener("focusout", () => { if (stale) soon(); });
