// Seals a bid in the browser: price and nonce stay here, only the digest of them is sent.
"use strict";

const seal = document.getElementById("form-seal");
const reveal = document.getElementById("form-reveal");
const kept = (auction) => `tanxin-sealed-bid:${auction}`;

const kilograms = (text) => Math.round(Number(text) * 1000);
const fen = (text) => Math.round(Number(text) * 100);

// The canonical document: keys in order, no blanks, after its domain.
const digest = async (auction, bidder, price, quantity, nonce) => {
  const bid = { auction_id: auction, bidder, nonce, price_fen_per_tonne: fen(price), quantity_kg: kilograms(quantity) };
  const bytes = new TextEncoder().encode(`tanxin-sealed-bid-v1\n${JSON.stringify(bid)}`);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
};

if (seal && window.crypto && crypto.subtle) {
  const { auction, bidder } = seal.dataset;
  const at = (name) => document.getElementById(`seal-${name}`);
  at("nonce").value = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  document.getElementById("seal-room").hidden = false;
  document.getElementById("seal-no-script").hidden = true;
  seal.addEventListener("submit", async (event) => {
    if (at("commitment").value) return;
    event.preventDefault();
    const [price, quantity, nonce] = ["price", "quantity", "nonce"].map((name) => at(name).value.trim());
    at("commitment").value = await digest(auction, bidder, price, quantity, nonce);
    localStorage.setItem(kept(auction), JSON.stringify({ price, quantity, nonce }));
    seal.submit();
  });
}

if (reveal) {
  const found = JSON.parse(localStorage.getItem(kept(reveal.dataset.auction)) || "null");
  if (found) ["price", "quantity", "nonce"].forEach((name) => {
    const input = document.getElementById(`reveal-${name}`);
    if (!input.value) input.value = found[name];
  });
}
