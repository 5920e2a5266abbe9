"use strict";
// The server has rendered what has happened so far. This adds what happens next,
// and asks the server for the page again where an operation ends or another begins.
const steps = JSON.parse(document.getElementById("steps").textContent)
  .map(([pattern, words]) => [new RegExp(pattern), words]);
const byId = (id) => document.getElementById(id);
const pause = 2000;
let source = null;
let retry = null;
let loaded = performance.now();

function tick() {
  const elapsed = byId("elapsed");
  if (!elapsed) return;
  const seconds = Number(byId("progress").dataset.seconds) + (performance.now() - loaded) / 1000;
  elapsed.textContent = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

function say(text) {
  const connection = byId("connection");
  if (connection && connection.textContent !== text) connection.textContent = text;
}

function show(kind, data) {
  const item = document.createElement("li");
  item.className = kind;
  item.textContent = data.message;
  byId("events").append(item);
  const match = steps.find(([pattern]) => pattern.test(data.message));
  if (match && byId("step")) byId("step").textContent = match[1];
  if (data.progress && byId("bar")) byId("bar").value = data.progress;
}

function take(message) {
  const page = byId("progress");
  const [operation, number] = message.lastEventId.split(":");
  if (operation !== page.dataset.operation) { reload(); return; }
  if (Number(number) <= Number(page.dataset.last)) return;
  page.dataset.last = number;
  show(message.type, JSON.parse(message.data));
  if (message.type === "complete" || message.type === "failed") reload();
}

function listen() {
  source?.close();
  source = new EventSource(byId("progress").dataset.events);
  for (const kind of ["info", "error", "complete", "failed"]) {
    source.addEventListener(kind, (message) => { if (message.data) take(message); });
  }
  source.onopen = () => say("");
  source.onerror = (event) => {
    if (event.data) return; // An event of the lab that is called so.
    say("The connection is lost; trying to reconnect. Your lab goes on starting.");
    if (source.readyState === EventSource.CLOSED) later();
  };
}

function later() {
  clearTimeout(retry);
  retry = setTimeout(reload, pause);
}

async function reload() {
  source?.close();
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (response.status >= 500) throw new Error(response.statusText);
    // Only what is shown: the style of the page has a nonce of its own.
    const [shown] = (await response.text()).match(/<main>[^]*<\/main>/);
    const page = new DOMParser().parseFromString(shown, "text/html");
    const wasOpen = byId("log")?.open;
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.title = document.querySelector("h1").textContent;
    if (wasOpen && byId("log")) byId("log").open = true;
    loaded = performance.now();
    follow();
  } catch {
    say("The connection is lost; trying to reconnect. Your lab goes on starting.");
    later();
  }
}

function follow() {
  if (byId("progress")?.dataset.live === "1") listen();
}

setInterval(tick, 1000);
follow();
