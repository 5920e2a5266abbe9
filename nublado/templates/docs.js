"use strict";
// Without this, all routes are listed, and browsers unfold what a link leads to.
const search = document.getElementById("search");
const query = document.getElementById("query");
const found = document.getElementById("found");
const entries = [...document.querySelectorAll(".entry")];
const listed = new Map([...document.querySelectorAll(".side li")].map((line) => [line.dataset.of, line]));
const texts = new Map(entries.map((entry) => [entry, entry.textContent.toLowerCase()]));

function sift() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const entry of entries) {
    const matches = words.every((word) => texts.get(entry).includes(word));
    entry.hidden = listed.get(entry.dataset.of).hidden = !matches;
    count += matches;
  }
  for (const group of document.querySelectorAll(".group")) {
    group.hidden = !group.querySelector("[data-of]:not([hidden])");
  }
  found.textContent = words.length ? `${count} / ${entries.length}` : "";
}

function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const entry = target?.closest(".entry");
  if (!entry) return;
  if (entry.hidden) {
    query.value = "";
    sift();
  }
  entry.open = true;
  entry.scrollIntoView();
}

search.hidden = false;
search.addEventListener("submit", (event) => event.preventDefault());
query.addEventListener("input", sift);
const fold = document.getElementById("fold");
fold.hidden = false;
fold.addEventListener("click", ({ target }) => {
  if (target.tagName !== "BUTTON") return;
  for (const entry of entries) entry.open = "open" in target.dataset;
});
addEventListener("hashchange", unfold);
unfold();
