// The list of endpoints by keyboard: "/" goes to the search, j and k move down and up the rows, Enter
// opens the one and x ticks it; and one box ticks them all.
{
  const main = document.getElementById("main");
  let at = null; // where the row's link goes: it outlives a refresh

  const rows = () => [...main.querySelectorAll("[data-rows] tbody tr")];
  const link = (row) => row.querySelector(".path a");
  const here = () => rows().find((row) => link(row)?.href === at);

  function go(step) {
    const all = rows();
    const now = all.indexOf(here());
    const next = all[now < 0 ? 0 : Math.min(Math.max(now + step, 0), all.length - 1)];
    at = next && link(next)?.href;
    show();
    if (next) link(next)?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
  }

  // What the server's page has not: the row one is at, and the box that ticks all.
  function show() {
    for (const row of rows()) row.classList.toggle("at", row === here());
    const head = main.querySelector("[data-tick-all]");
    if (!head || head.querySelector("input")) return;
    const all = document.createElement("input");
    all.type = "checkbox";
    all.setAttribute("aria-label", "Tick all rows of this page");
    all.addEventListener("change", () => {
      for (const box of main.querySelectorAll("input[name=key]")) box.checked = all.checked;
    });
    head.replaceChildren(all);
  }

  document.addEventListener("keydown", (event) => {
    if (main.dataset.live !== "endpoints" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input:not([type=checkbox]), select, textarea")) return;
    const box = main.querySelector(".query input[name=q]");
    if (event.key === "/" && box) { box.focus(); box.select(); }
    else if (event.key === "j" && rows().length > 0) go(1);
    else if (event.key === "k" && rows().length > 0) go(-1);
    else if (event.key === "x" && here()) here().querySelector("input[name=key]")?.click();
    else if (event.key === "Enter" && event.target === document.body && here()) location.href = at;
    else return;
    event.preventDefault();
  });

  new MutationObserver(show).observe(main, { childList: true });
  show();
}
