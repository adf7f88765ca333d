// Signs documents with a key that this browser made and keeps: the private half cannot be exported, not even by this page.
"use strict";

const DATABASE = "tanxin-signing";
const ALGORITHM = { name: "Ed25519" };
const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const signed = async (key, text) => hex(await crypto.subtle.sign(ALGORITHM, key, new TextEncoder().encode(text)));

const settled = (request) => new Promise((resolve, reject) => {
  request.addEventListener("success", () => resolve(request.result));
  request.addEventListener("error", () => reject(request.error));
});

const keys = async (mode) => {
  const opening = indexedDB.open(DATABASE, 1);
  opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore("keys", { keyPath: "publicKey" }));
  return (await settled(opening)).transaction("keys", mode).objectStore("keys");
};

const kept = async (organisation, live) => {
  const all = await settled((await keys("readonly")).getAll());
  return all.find((each) => each.organisation === organisation && live.includes(each.publicKey));
};

const say = (within, text) => { within.querySelector("[data-said]").textContent = text; };

// A key for the organisation, and the proof that this browser has it: what `POST /v1/signing-keys` takes.
const make = async (within) => {
  const { organisation, domain } = within.dataset;
  const pair = await crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]);
  const publicKey = hex(await crypto.subtle.exportKey("raw", pair.publicKey));
  const document_ = `${domain}\n${JSON.stringify({ held_by: "holder", organisation_id: organisation, public_key: publicKey })}`;
  within.querySelector("[name=public_key]").value = publicKey;
  within.querySelector("[name=proof]").value = await signed(pair.privateKey, document_);
  await settled((await keys("readwrite")).put({ publicKey, organisation, privateKey: pair.privateKey }));
};

const sign = async (within) => {
  const key = await kept(within.dataset.organisation, within.dataset.live.split(" "));
  const text = within.querySelector("[data-text]").value;
  within.querySelector("[name=signature]").value = await signed(key.privateKey, text);
};

const offer = (within, act) => {
  const button = within.querySelector("button[data-here]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await act(within);
      say(within, within.dataset.done);
    } catch (error) {
      say(within, `${within.dataset.failed} ${error}`);
    }
  });
};

if (window.crypto && crypto.subtle && window.indexedDB) {
  document.querySelectorAll("[data-new-key]").forEach((within) => offer(within, make));
  document.querySelectorAll("[data-sign]").forEach(async (within) => {
    if (await kept(within.dataset.organisation, within.dataset.live.split(" "))) offer(within, sign);
  });
}
