"use strict";
// The server renders the page. Whenever something has happened, this fetches it again and
// shows what has changed: after each event while something is being done, and after that
// every now and then, while somebody looks, so that it never tells of a lab that is gone.
const byId = (id) => document.getElementById(id);
const page = () => byId("progress");
const isFramed = window.top !== window;
const shortestRetry = 2000;
const throttle = 200;
const shortestPause = 5000;
const longestPause = 60000;
let source = null;
let timer = null;
let update = null;
let pause = shortestPause;
let retry = shortestRetry;
let loaded = performance.now();

// --- What the browser remembers, where it may ---

function recall(key) {
  try { return localStorage.getItem(`nublado-${key}`); } catch { return null; }
}

function remember(key, value) {
  try { localStorage.setItem(`nublado-${key}`, value); } catch { /* It may not. */ }
}

// --- Time that passes ---

// As the page writes one second, one minute, and one of each.
function duration(seconds) {
  const [second, minute, both] = page().dataset.spans.split("|").map((text) => text.split("1"));
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60), rest = whole % 60;
  if (!minutes) return second.join(rest);
  if (!rest) return minute.join(minutes);
  return both[0] + minutes + both[1] + rest + both[2];
}

function tick() {
  const passed = (performance.now() - loaded) / 1000;
  for (const element of document.querySelectorAll("[data-since]")) {
    element.textContent = duration(Number(element.dataset.since) + passed);
  }
  const { phase, seconds, late } = page().dataset;
  if (phase !== "starting") return;
  const total = Number(seconds) + passed;
  document.title = `${duration(total)} · ${document.querySelector("h1").textContent}`;
  if (late && total > Number(late)) byId("late").hidden = false;
}

function localTime(time) {
  const moment = new Date(time.dateTime), language = document.documentElement.lang;
  return time.classList.contains("dated") ? moment.toLocaleString(language) : moment.toLocaleTimeString(language);
}

function showLocalTimes() {
  const times = document.querySelectorAll("time");
  if (!times.length || isNaN(new Date(times[0].dateTime))) return;
  for (const time of times) time.textContent = localTime(time);
  if (byId("zone")) byId("zone").hidden = true;
}

// --- What the user wants ---

function prepareOptions() {
  const copy = byId("copy");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.onclick = async () => {
      await navigator.clipboard.writeText(byId("support-text").textContent);
      copy.textContent = copy.dataset.done;
    };
  }
  // JupyterHub opens the lab itself where it shows this page within its own.
  if (!byId("options") || isFramed) return;
  byId("options").hidden = false;
  const open = byId("open-itself");
  open.checked = recall("open") !== "no";
  open.onchange = () => remember("open", open.checked ? "yes" : "no");
  prepareNotifications(byId("notify"));
}

function prepareNotifications(button) {
  if (!("Notification" in window)) { button.hidden = true; return; }
  const show = () => {
    const isOn = wantsNotification();
    button.setAttribute("aria-pressed", String(isOn));
    button.dataset.off ??= button.textContent;
    const isRefused = Notification.permission === "denied";
    button.disabled = isRefused;
    button.textContent = isRefused ? button.dataset.refused : isOn ? button.dataset.on : button.dataset.off;
  };
  button.onclick = async () => {
    const isOn = wantsNotification();
    if (!isOn) await Notification.requestPermission();
    remember("notify", isOn ? "no" : "yes");
    show();
  };
  show();
}

function wantsNotification() {
  return "Notification" in window && Notification.permission === "granted" && recall("notify") === "yes";
}

// The lab was being started while somebody watched, and now that is over.
function announce(text, link) {
  if (isFramed) return;
  if (wantsNotification() && document.hidden) {
    const note = new Notification(text, { tag: "nublado-lab" });
    note.onclick = () => { window.focus(); note.close(); };
  }
  if (link && recall("open") !== "no") location.assign(link.href);
}

// --- News ---

function say(text) {
  const connection = byId("connection");
  if (connection && connection.textContent !== text) connection.textContent = text;
}

function take(message) {
  const { dataset } = page();
  const [operation, number] = message.lastEventId.split(":");
  if (operation !== dataset.operation) { reload(); return; }
  if (Number(number) <= Number(dataset.last)) return;
  dataset.last = number;
  if (message.type === "complete" || message.type === "failed") reload();
  else update ??= setTimeout(refresh, throttle);
}

function listen() {
  source?.close();
  source = new EventSource(page().dataset.events);
  for (const kind of ["info", "error", "complete", "failed"]) {
    source.addEventListener(kind, (message) => { if (message.data) take(message); });
  }
  source.onopen = () => say("");
  source.onerror = (event) => {
    if (event.data) return; // An event of the lab that is called so.
    say(page().dataset.lost);
    if (source.readyState === EventSource.CLOSED) later(reload, retry);
  };
}

function later(action, milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(action, milliseconds);
}

// The page as it is now; null if it says what it said before.
async function fetchPage(isNeeded) {
  const headers = { Accept: "text/html" };
  if (!isNeeded) headers["If-None-Match"] = `"${page().dataset.version}"`;
  const response = await fetch(location.href, { headers, cache: "no-store" });
  if (response.status === 304) return null;
  if (response.status >= 500) throw new Error(response.statusText);
  // Only what is shown: the style of the page has a nonce of its own.
  const [shown] = (await response.text()).match(/<main>[^]*<\/main>/);
  const fetched = new DOMParser().parseFromString(shown, "text/html");
  // Whoever has been logged out is told something else.
  if (!fetched.getElementById("progress")) throw new Error(response.statusText);
  return fetched;
}

// Change only what differs, so that nobody loses the focus or hears a step twice.
async function refresh() {
  update = null;
  try {
    const fetched = await fetchPage(true);
    const next = fetched.getElementById("progress")?.dataset;
    const mine = page().dataset;
    if (!next || next.operation !== mine.operation || next.phase !== mine.phase) { replace(fetched); return; }
    for (const name of ["last", "version", "seconds", "late"]) if (name in next) mine[name] = next[name];
    loaded = performance.now();
    byId("bar")?.setAttribute("value", fetched.getElementById("bar")?.getAttribute("value") ?? 0);
    for (const css of [".state", "#usual", "#steps", ".total", "dl", "#events", "#support-text"]) {
      const [old, shown] = [page().querySelector(css), fetched.querySelector(css)];
      if (old && shown && old.innerHTML !== shown.innerHTML) old.replaceChildren(...shown.childNodes);
    }
    showLocalTimes();
  } catch {
    // The stream will say what is wrong.
  }
}

function replace(fetched) {
  source?.close();
  clearTimeout(update);
  update = null;
  const before = page().dataset.phase;
  const open = [...document.querySelectorAll("details[open]")].map((element) => element.id);
  document.querySelector("main").replaceWith(fetched.querySelector("main"));
  for (const id of open) if (byId(id)) byId(id).open = true;
  document.title = document.querySelector("h1").textContent;
  loaded = performance.now();
  follow();
  const { phase } = page().dataset;
  document.querySelector("link[rel=icon]").href = page().dataset.icon;
  if (before === "starting" && phase !== before) announce(document.title, byId("open"));
}

async function reload() {
  source?.close();
  try {
    replace(await fetchPage(true));
    retry = shortestRetry;
  } catch {
    say(page().dataset.lost ?? page().dataset.stale);
    later(reload, retry);
    retry = Math.min(retry * 1.5, longestPause / 2);
  }
}

// Look whether anything has changed: often at first, then less, and never unseen.
async function look() {
  try {
    const fetched = await fetchPage(false);
    say("");
    if (fetched) { pause = shortestPause; replace(fetched); return; }
  } catch {
    say(page().dataset.stale);
  }
  pause = Math.min(pause * 1.5, longestPause);
  follow();
}

function follow() {
  prepareOptions();
  showLocalTimes();
  clearTimeout(timer);
  if (page().dataset.followed === "1") listen();
  else if (!document.hidden) later(look, pause);
}

document.addEventListener("visibilitychange", () => {
  if (page().dataset.followed === "1") return;
  clearTimeout(timer);
  if (!document.hidden) { pause = shortestPause; look(); }
});
setInterval(tick, 1000);
follow();
