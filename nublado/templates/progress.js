"use strict";
// The server renders the page. Whenever something has happened, this fetches it again
// and shows what has changed.
const byId = (id) => document.getElementById(id);
const pause = 2000;
const throttle = 200;
const lost = "The connection is lost; trying to reconnect. Your lab goes on starting.";
let source = null;
let retry = null;
let update = null;
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

function take(message) {
  const page = byId("progress");
  const [operation, number] = message.lastEventId.split(":");
  if (operation !== page.dataset.operation) { reload(); return; }
  if (Number(number) <= Number(page.dataset.last)) return;
  page.dataset.last = number;
  if (message.type === "complete" || message.type === "failed") reload();
  else update ??= setTimeout(refresh, throttle);
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
    say(lost);
    if (source.readyState === EventSource.CLOSED) later();
  };
}

function later() {
  clearTimeout(retry);
  retry = setTimeout(reload, pause);
}

async function fetchPage() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (response.status >= 500) throw new Error(response.statusText);
  // Only what is shown: the style of the page has a nonce of its own.
  const [shown] = (await response.text()).match(/<main>[^]*<\/main>/);
  return new DOMParser().parseFromString(shown, "text/html");
}

// Change only what differs, so that nobody loses the focus or hears a step twice.
async function refresh() {
  update = null;
  try {
    const page = await fetchPage();
    const next = page.getElementById("progress")?.dataset;
    const mine = byId("progress").dataset;
    if (next?.operation !== mine.operation || next.live !== "1") { replace(page); return; }
    mine.last = next.last;
    byId("bar").value = page.getElementById("bar").getAttribute("value");
    for (const id of ["step", "events"]) {
      const shown = page.getElementById(id);
      if (byId(id).textContent !== shown.textContent) byId(id).replaceChildren(...shown.childNodes);
    }
  } catch {
    // The stream will say what is wrong.
  }
}

function replace(page) {
  source?.close();
  clearTimeout(update);
  update = null;
  const wasOpen = byId("log")?.open;
  document.querySelector("main").replaceWith(page.querySelector("main"));
  document.title = document.querySelector("h1").textContent;
  if (wasOpen && byId("log")) byId("log").open = true;
  loaded = performance.now();
  follow();
}

async function reload() {
  source?.close();
  try {
    replace(await fetchPage());
  } catch {
    say(lost);
    later();
  }
}

function follow() {
  if (byId("progress")?.dataset.live === "1") listen();
}

setInterval(tick, 1000);
follow();
