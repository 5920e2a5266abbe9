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

function replace(section, html) {
  const scrolled = [...section.querySelectorAll(".table")].map((table) => [table.scrollLeft, table.scrollTop]);
  section.innerHTML = html;
  section.querySelectorAll(".table").forEach((table, i) => {
    [table.scrollLeft, table.scrollTop] = scrolled[i] ?? [0, 0];
  });
  tell(section);
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

tell(page);
setInterval(() => tell(page), 10000);
listen();
