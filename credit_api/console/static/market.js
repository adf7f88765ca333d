// Keeps the order book's page up to date; without it the page shows what held when it was opened.
"use strict";

const live = document.getElementById("live");
if (live && window.EventSource) {
  const at = (name) => live.querySelector(`[data-live="${name}"]`);
  const yuan = (fen) => (fen / 100).toFixed(2);
  const tonnes = (kg) => Math.floor(kg / 1000).toLocaleString("en");
  const cells = (row, values) => values.forEach((value, n) => { row.cells[n + 1].textContent = value; });
  const levels = (name, found, place) => {
    const rows = at(name).rows;
    for (let n = 0; n < rows.length; n += 1) {
      const level = found[n];
      cells(rows[place(n, rows.length)], level ? [yuan(level.price_fen_per_tonne), tonnes(level.quantity_kg), level.orders] : ["—", "—", "—"]);
    }
  };
  const source = new EventSource(live.dataset.stream);
  source.addEventListener("ended", () => source.close());
  source.addEventListener("book", (event) => {
    const book = JSON.parse(event.data);
    const session = book.session;
    levels("asks", book.asks, (n, count) => count - 1 - n);
    levels("bids", book.bids, (n) => n);
    at("last").textContent = yuan(session.last_fen_per_tonne);
    at("reference").textContent = yuan(session.reference_fen_per_tonne);
    at("band").textContent = `${yuan(session.lowest_fen_per_tonne)}–${yuan(session.highest_fen_per_tonne)}`;
    at("phase").textContent = session.halted ? at("phase").dataset.halted : at("phase").dataset[session.phase];
    at("state").textContent = `${session.day || "—"} · ${at("state").dataset.on}`;
  });
  source.addEventListener("trade", (event) => {
    const trade = JSON.parse(event.data);
    const body = at("trades");
    const empty = body.querySelector("[data-none]");
    if (empty) empty.remove();
    const row = body.insertRow(0);
    const time = new Date(trade.at).toLocaleString("sv-SE", { timeZone: "Asia/Shanghai" }).slice(0, 16);
    [time, yuan(trade.price_fen_per_tonne), tonnes(trade.quantity_kg), body.dataset[trade.taker]].forEach((value, n) => {
      const cell = row.insertCell();
      cell.textContent = value;
      cell.className = n === 0 ? "nowrap" : n < 3 ? "num right" : "";
    });
    while (body.rows.length > 12) body.deleteRow(-1);
  });
}
