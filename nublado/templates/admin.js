"use strict";
// Sections come from the server as they change; ages are counted here.
const page = document.getElementById("admin");
const connection = document.getElementById("connection");
const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function age(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  const [size, unit] = units.find(([size]) => seconds >= size) ?? units.at(-1);
  return `${Math.floor(seconds / size)} ${unit}`;
}

function tell(root) {
  for (const element of root.querySelectorAll("time")) {
    element.title ||= element.textContent;
    element.textContent = age(element.dateTime);
  }
}

// Without scripts, the server leaves out what does not match.
const filter = document.getElementById("filter");

function matches(row, wanted) {
  const text = row.textContent.toLowerCase();
  const has = (whole, part) => (whole ?? "").toLowerCase().includes(part.trim().toLowerCase());
  return has(`${text} ${row.dataset.image}`, wanted.q) && has(row.dataset.node, wanted.node)
    && has(row.dataset.image, wanted.image) && has(row.querySelector(".reason")?.textContent, wanted.reason)
    && (!wanted.state || row.dataset.state === wanted.state);
}

function sift() {
  const wanted = Object.fromEntries(new FormData(filter));
  const rows = [...document.querySelectorAll("#labs tbody tr")];
  const shown = rows.filter((row) => !(row.hidden = !matches(row, wanted)));
  const found = shown.length < rows.length ? `${shown.length} of ${rows.length} labs` : "";
  const place = document.getElementById("found");
  if (place.textContent !== found) place.textContent = found;
}

function remember() {
  const wanted = [...new FormData(filter)].filter(([, value]) => value.trim());
  history.replaceState(null, "", wanted.length ? `?${new URLSearchParams(wanted)}` : location.pathname);
  sift();
}

function replace(section, html) {
  const scrolled = [...section.querySelectorAll(".table")].map((table) => [table.scrollLeft, table.scrollTop]);
  section.innerHTML = html;
  section.querySelectorAll(".table").forEach((table, i) => {
    [table.scrollLeft, table.scrollTop] = scrolled[i] ?? [0, 0];
  });
  tell(section);
  if (section.id === "labs") sift();
}

function listen() {
  const source = new EventSource(page.dataset.events);
  for (const section of page.querySelectorAll("section")) {
    source.addEventListener(section.id, (event) => replace(section, JSON.parse(event.data).html));
  }
  source.onopen = () => { connection.textContent = "This page keeps itself up to date."; };
  source.onerror = () => {
    connection.textContent = "The connection is lost; trying to reconnect. What is shown may be old.";
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

filter.addEventListener("input", remember);
filter.addEventListener("submit", (event) => { event.preventDefault(); remember(); });
filter.querySelector("button").hidden = true;
tell(page);
setInterval(() => tell(page), 10000);
listen();
