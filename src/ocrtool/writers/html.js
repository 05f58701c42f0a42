// A word and its box are twins: what the pointer is on lights both.
function light(event, on) {
  const name = event.target.dataset && event.target.dataset.w;
  if (!name) return;
  for (const twin of document.querySelectorAll(`[data-w="${name}"]`)) {
    twin.classList.toggle("on", on);
    const inView = twin.tagName !== "SPAN" || twin === event.target;
    if (on && !inView) twin.scrollIntoView({ block: "nearest" });
  }
}
document.addEventListener("mouseover", (event) => light(event, true));
document.addEventListener("mouseout", (event) => light(event, false));
