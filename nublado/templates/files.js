// Without this the page reloads itself while something follows, and the address is
// copied by hand.
"use strict";

(() => {
  const PAUSE_SECONDS = 1;
  const LONGEST_PAUSE_SECONDS = 5;
  const connection = document.getElementById("connection");
  let pause = PAUSE_SECONDS;

  const shown = () => document.getElementById("files");

  async function look() {
    let page;
    try {
      const response = await fetch(shown().dataset.next, { headers: { Accept: "text/html" } });
      // Who is not logged in any more is led to the login.
      if (response.redirected || response.status === 401) return location.reload();
      // Only what is shown: the style of the page has a nonce of its own.
      const [main] = (await response.text()).match(/<main>[^]*<\/main>/);
      page = new DOMParser().parseFromString(main, "text/html");
    } catch {
      page = null;
    }
    const next = page?.getElementById("files");
    connection.textContent = next ? "" : connection.dataset.lost;
    connection.classList.toggle("unseen", Boolean(next));
    connection.classList.toggle("state", !next);
    connection.classList.toggle("bad", !next);
    pause = next ? PAUSE_SECONDS : Math.min(LONGEST_PAUSE_SECONDS, pause * 2);
    if (next) show(next);
    follow();
  }

  function show(next) {
    const before = shown();
    if (before.dataset.state === next.dataset.state) {
      before.querySelector("#elapsed")?.replaceWith(next.querySelector("#elapsed") ?? "");
      return;
    }
    before.replaceWith(next);
    document.title = connection.textContent = next.dataset.said;
    if (next.dataset.phase === "running") history.replaceState(null, "", next.dataset.own);
    offerCopy();
  }

  function follow() {
    if ("live" in shown().dataset) setTimeout(look, pause * 1000);
  }

  function offerCopy() {
    const button = document.getElementById("copy");
    if (!button || !navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const { copied, failed } = button.dataset;
      let text = copied;
      try { await navigator.clipboard.writeText(document.getElementById("url").textContent); }
      catch { text = failed; }
      document.getElementById("copied").textContent = text;
    });
  }

  offerCopy();
  follow();
})();
