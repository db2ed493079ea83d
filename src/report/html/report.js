"use strict";
(() => {
  const all = (selector, within = document) => within.querySelectorAll(selector);

  // a link to a sentence opens it and what contains it, and shows it if the filter hides it
  const reveal = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* not an id of this page */ }
    const target = id && document.getElementById(id);
    if (!target || !target.matches(".case, .sentence")) return;
    const own = target.querySelector(":scope > details");
    if (own) own.open = true;
    for (let at = target; at; at = at.parentElement) if (at.localName === "details") at.open = true;
    if (target.getClientRects().length === 0) for (const box of all(".filter input")) box.checked = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  for (const tools of all(".tools")) {
    tools.hidden = false;
    tools.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      for (const details of all(".case > details, .sentence > details")) details.open = "open" in button.dataset;
    });
  }

  if (navigator.clipboard) {
    for (const command of all(".command")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(command.querySelector("code").textContent);
          button.textContent = "Copied";
        } catch {
          button.textContent = "Not copied";
        }
      });
      command.append(button);
    }
  }
})();
