// What is wider than its place can be scrolled by keyboard, too, and only that is a stop of the Tab key.
{
  const reach = () => {
    for (const box of document.querySelectorAll(".scroll")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  reach();
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);
  new MutationObserver(reach).observe(document.getElementById("main"), { childList: true, subtree: true });
}
