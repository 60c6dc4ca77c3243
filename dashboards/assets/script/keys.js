// Keys of one letter, for whoever wants them: a page names its own, `?` shows them all. They are
// off where something is typed, and can be turned off (WCAG 2.1.4): speech input and slips of the
// hand must not act.
{
const STORE = "apitap.keys";
const known = [];

function on() {
  try { return localStorage.getItem(STORE) !== "off"; } catch { return true; }
}

function turn(to) {
  try { localStorage.setItem(STORE, to ? "on" : "off"); } catch { /* it holds for this page alone */ }
}

// `key` as KeyboardEvent has it; the last that is added for a key and may be used now is run.
function add(key, what, run, when = () => true) {
  known.push({ key, what, run, when });
}

function typing(at) {
  return at.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key.length === 1 && !on()) return;
  const found = known.findLast((k) => k.key === event.key && k.when());
  if (!found) return;
  event.preventDefault();
  found.run();
});

const dialog = document.createElement("dialog");
dialog.className = "shortcuts";
dialog.setAttribute("aria-labelledby", "keys-title");
document.body.append(dialog);

function element(name, ...content) {
  const made = document.createElement(name);
  made.append(...content);
  return made;
}

const names = { Escape: "Esc", " ": "Space" };

function help() {
  const title = element("h2", "Keys");
  title.id = "keys-title";
  const list = document.createElement("dl");
  const usable = known.filter((k) => k.when());
  for (const { key, what } of usable) list.append(element("dt", element("kbd", names[key] ?? key)), element("dd", what));
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: on() });
  box.addEventListener("change", () => turn(box.checked));
  const close = Object.assign(element("button", "Close"), { value: "close" });
  const form = Object.assign(element("form", element("label", box, " Use keys of one letter"), close), { method: "dialog" });
  dialog.replaceChildren(title, list, form);
  dialog.showModal();
}

document.addEventListener("click", (event) => { if (event.target.closest("[data-keys-help]")) help(); });
add("?", "show this help", help);
add("/", "search", () => document.querySelector("[data-keys-search]").focus(), () => document.querySelector("[data-keys-search]") !== null);

apitap.after(() => { for (const button of document.querySelectorAll("[data-keys-help]")) button.hidden = false; });
apitap.keys = { add, help };
}
