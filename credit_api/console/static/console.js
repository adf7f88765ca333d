// Progressive enhancement only: every page works without this file.
"use strict";

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) {
    event.preventDefault();
    return;
  }
  if (form.dataset.once !== undefined) {
    // The server applies a form once in any case; this only stops a second click from waiting for nothing.
    form.querySelectorAll("button").forEach((button) => { button.setAttribute("aria-disabled", "true"); });
  }
});

window.addEventListener("pageshow", () => {
  document.querySelectorAll("button[aria-disabled]").forEach((button) => button.removeAttribute("aria-disabled"));
});

document.querySelectorAll("[data-print]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
});

document.addEventListener("click", (event) => {
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    menu.open = false;
    menu.querySelector("summary").focus();
  });
});

document.querySelectorAll("form[data-preview]").forEach((form) => {
  let latest = 0;
  let timer = 0;
  const refresh = async () => {
    const turn = ++latest;
    if (!form.reportValidity || !form.checkValidity()) return;
    const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [from, to] = [page, document].map((each) => each.querySelector(form.dataset.preview));
    if (turn === latest && answer.ok && from && to) to.replaceWith(from);
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(refresh, 250); });
});
