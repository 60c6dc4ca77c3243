// The list of endpoints by keyboard: "/" goes to the search, j and k move down and up the rows, Enter
// opens the one and x ticks it; and one box ticks them all.
{
  const main = document.getElementById("main");
  let at = null; // key of the row, which outlives a refresh

  const rows = () => [...main.querySelectorAll("[data-rows] tbody tr")];
  const link = (row) => row.querySelector(".path a");

  function go(step) {
    const all = rows();
    if (all.length === 0) return;
    const now = all.findIndex((row) => link(row)?.href === at);
    const next = all[now < 0 ? 0 : Math.min(Math.max(now + step, 0), all.length - 1)];
    for (const row of all) row.classList.toggle("at", row === next);
    at = link(next)?.href ?? null;
    link(next)?.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (main.dataset.live !== "endpoints" || event.ctrlKey || event.metaKey || event.altKey) return;
    const box = main.querySelector(".query input[name=q]");
    if (event.target.matches("input:not([type=checkbox]), select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "/" && box) { box.focus(); box.select(); }
    else if (event.key === "j" && rows().length) go(1);
    else if (event.key === "k" && rows().length) go(-1);
    else if (event.key === "x") main.querySelector("tr.at input[name=key]")?.click();
    else return;
    event.preventDefault();
  });

  // A refresh puts new rows in the old ones' place: the box to tick all is made when it is needed.
  document.addEventListener("pointerover", tickAll);
  document.addEventListener("focusin", tickAll);
  function tickAll() {
    const head = main.querySelector("[data-tick-all]");
    if (!head || head.querySelector("input")) return;
    const all = document.createElement("input");
    all.type = "checkbox";
    all.ariaLabel = "Tick all rows of this page";
    all.addEventListener("change", () => {
      for (const box of main.querySelectorAll("input[name=key]")) box.checked = all.checked;
    });
    head.replaceChildren(all);
  }
  tickAll();
}
