// Triage by keys and without leaving the list: rows are acted on in place, several after one
// question. The forms do the same without this.
{
const { keys, say } = apitap;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const done = { acknowledged: "acknowledged", resolved: "resolved", "false-alarm": "called a false alarm", muted: "muted", open: "reopened", note: "noted" };
const verbs = { acknowledged: "Acknowledge", resolved: "Resolve", "false-alarm": "Call a false alarm", muted: "Mute", open: "Reopen", note: "Add the note to" };
const work = () => document.querySelector("form[data-act]");
const single = () => document.querySelector("form[data-act-one]");
const rows = () => [...document.querySelectorAll("tr[data-row]")];
const ticked = () => [...document.querySelectorAll("tr[data-row] input[name=id]:checked")];
// All that match, not those of this page alone.
const everything = () => document.querySelector("[data-all]:checked");
let place = 0;

function at() {
  const row = document.activeElement?.closest("tr[data-row]");
  return row ? rows().indexOf(row) : -1;
}

function go(n) {
  const all = rows();
  if (!all.length) return;
  place = Math.max(0, Math.min(n, all.length - 1));
  all[place].querySelector("[data-title]").focus();
}

function remember() {
  const here = at();
  if (here >= 0) place = here;
  if (!work()) return;
  const list = { href: location.pathname + location.search, links: rows().map((r) => r.querySelector("[data-title]").getAttribute("href")) };
  sessionStorage.setItem("apitap.list", JSON.stringify(list));
}

function list() {
  try { return JSON.parse(sessionStorage.getItem("apitap.list")); } catch { return null; }
}

// === Acting ===

function ask(question, titles) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", question);
  const heading = Object.assign(document.createElement("h2"), { textContent: question });
  const shown = document.createElement("ul");
  shown.className = "list";
  for (const title of titles.slice(0, 8)) shown.append(Object.assign(document.createElement("li"), { textContent: title }));
  if (titles.length > 8) shown.append(Object.assign(document.createElement("li"), { className: "sub", textContent: `and ${titles.length - 8} more` }));
  const form = Object.assign(document.createElement("form"), { method: "dialog", className: "bar" });
  form.append(
    Object.assign(document.createElement("button"), { value: "yes", textContent: "Yes" }),
    Object.assign(document.createElement("button"), { value: "no", className: "quiet", textContent: "No" }),
  );
  dialog.append(heading, shown, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((answer) => dialog.addEventListener("close", () => { dialog.remove(); answer(dialog.returnValue === "yes"); }));
}

async function send(form, data) {
  const one = data.get("one");
  const status = one ? one.split(":")[0] : data.get("status");
  const ids = one ? [one.slice(status.length + 1)] : data.getAll("id");
  if (!ids.length) { say("Tick a row first, or go to one with j and k."); return; }
  const what = form.dataset.act;
  const titles = ids.map((id) => document.querySelector(`#r-${CSS.escape(id)} [data-title]`)?.textContent ?? id);
  if (ids.length > 1 && !(await ask(`${verbs[status]}: ${ids.length} ${what}?`, titles))) return;
  data.set("confirmed", "yes");
  const here = at() >= 0 ? at() : place;
  const answer = await fetch(form.getAttribute("action"), { method: "POST", headers: { accept: "application/json" }, body: data });
  const told = await answer.json();
  if (!answer.ok) { say(`Nothing was changed: ${told.detail}`); return; }
  const refused = told.refused.map((r) => r.why);
  const changed = told.changed.length;
  say([changed && `${changed} ${done[status]}.`, refused.length && `${refused.length} not: ${refused[0]}.`].filter(Boolean).join(" "));
  untick();
  for (const field of form.querySelectorAll(".act-more textarea, .act-more input[type=datetime-local]")) field.value = "";
  form.querySelector("#more").open = false;
  await apitap.refresh();
  count();
  go(here);
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-act]");
  if (!form) return;
  const data = new URLSearchParams(new FormData(form, event.submitter));
  // What all of them are, a page of the server's says, and asks.
  if (data.has("all") && !data.has("one")) return;
  event.preventDefault();
  send(form, data).catch(() => { say("Nothing was changed: the connection is lost."); apitap.lost(); });
});

// What a key does: to the rows that are ticked, else to the one that is looked at.
function act(status) {
  if (single()) { single().querySelector(`button[name=status][value="${status}"]`)?.click(); return; }
  choose();
  work()?.requestSubmit(work().querySelector(`.bulk button[value="${status}"]`));
}

function choose() {
  const row = rows()[at()];
  if (!ticked().length && !everything() && row) row.querySelector("input[name=id]").checked = true;
  count();
}

// To the field that says how long, or what.
function fill(field) {
  if (!single()) {
    choose();
    document.getElementById("more").open = true;
  }
  document.querySelector(`[data-keys-${field}]`).focus();
}

// === Ticks ===

function count() {
  const n = ticked().length;
  const words = document.querySelector("[data-selected]");
  if (!words) return;
  words.textContent = everything() ? "All of them" : n ? `${n} selected` : words.dataset.selected;
  const all = document.querySelector("[data-select-all]");
  all.checked = n > 0 && n === rows().length;
  all.indeterminate = n > 0 && n < rows().length;
}

function untick() {
  for (const box of [...ticked(), everything()]) if (box) box.checked = false;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-select-all]")) {
    for (const row of rows()) row.querySelector("input[name=id]").checked = event.target.checked;
  }
  count();
});
document.addEventListener("focusin", remember);

// Enter in the note of one adds the note, and nothing else.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("input[data-keys-note]")) return;
  event.preventDefault();
  if (event.target.value.trim()) act("note");
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-link]");
  if (!button) return;
  const link = location.origin + location.pathname;
  try {
    await navigator.clipboard.writeText(link);
    button.textContent = "Copied";
  } catch {
    say(link);
  }
});

// === Keys ===

const inList = () => work() !== null;
const inEither = () => (inList() && rows().length > 0) || single() !== null;
const beside = (step) => {
  const { links } = list() ?? { links: [] };
  const next = links[links.indexOf(location.pathname) + step];
  return links.includes(location.pathname) ? next : undefined;
};
const move = (step) => inList() ? go(at() < 0 ? place : at() + step) : (location.href = beside(step));
keys.add("j", "next", () => move(1), () => inList() || beside(1) !== undefined);
keys.add("k", "the one before", () => move(-1), () => inList() || beside(-1) !== undefined);
keys.add("Enter", "open", () => document.activeElement.click(), () => document.activeElement?.matches("tr[data-row] [data-title]"));
keys.add("u", "back to the list", () => { location.href = list()?.href ?? document.querySelector(".crumbs a").href; }, () => single() !== null);
keys.add("x", "select", () => { const box = rows()[at()]?.querySelector("input[name=id]"); if (box) box.checked = !box.checked; count(); }, inList);
keys.add("a", "acknowledge", () => act("acknowledged"), inEither);
keys.add("r", "resolve", () => act("resolved"), inEither);
keys.add("f", "false alarm", () => act("false-alarm"), inEither);
keys.add("m", "mute until", () => fill("mute"), inEither);
keys.add("n", "note", () => fill("note"), inEither);
keys.add("Escape", "select nothing, close menus", () => {
  untick();
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  count();
});

apitap.after(() => {
  for (const hidden of document.querySelectorAll("[data-select-all], [data-copy-link]")) hidden.hidden = false;
  for (const field of document.querySelectorAll("[data-zone]")) field.value = zone;
  for (const label of document.querySelectorAll("[data-zone-label]")) label.textContent = `or until (${zone})`;
  for (const hint of document.querySelectorAll("[data-zone-hint]")) if (!hint.value) hint.value = zone;
  count();
  remember();
});
}
