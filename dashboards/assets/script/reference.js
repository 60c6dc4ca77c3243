// The reference of the API: a button that copies a command, and a link to a type opens it.
{
  for (const command of document.querySelectorAll("pre[data-copy]")) {
    if (!navigator.clipboard) break;
    const around = document.createElement("div");
    around.className = "copied";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet small";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(command.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not copied";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    command.replaceWith(around);
    around.append(command, button);
  }
  const open = () => {
    const there = location.hash && document.getElementById(location.hash.slice(1));
    if (there instanceof HTMLDetailsElement) {
      there.open = true;
      there.scrollIntoView();
    }
  };
  addEventListener("hashchange", open);
  open();
}
