// A link to the page that is shown goes to the clipboard; without script it leads to itself.
{
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-link]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const url = new URL(link.getAttribute("href"), location.href).href;
    try {
      await navigator.clipboard.writeText(url);
      link.textContent = "Copied";
    } catch {
      location.assign(url);
    }
  });
}
