// What pages do beyond what they do without it: buttons that copy, and what changed shown as it changes. Nothing depends on it.
"use strict";

(() => {
  const WAIT_MS = 700;

  for (const place of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      const source = place.dataset.copy ? document.querySelector(place.dataset.copy) : place.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    place.append(button);
  }

  // On a telephone what is long is folded.
  if (matchMedia("(max-width: 44rem)").matches) {
    for (const one of document.querySelectorAll("details[data-fold]")) one.open = false;
  }

  document.addEventListener("mouseover", (event) => {
    const time = event.target.closest?.("time[datetime]");
    if (time && !time.title) time.title = `${new Date(time.dateTime).toLocaleString()} here`;
  });

  // After an act the page stays where it was; loaded again, it no longer says what was done.
  const KEPT = `place:${location.pathname}`;
  document.addEventListener("submit", (event) => {
    if (event.target.method === "post" || event.submitter?.formMethod === "post") sessionStorage.setItem(KEPT, String(scrollY));
  });
  const here = new URL(location.href);
  if (here.searchParams.has("done")) {
    for (const name of ["done", "count", "left"]) here.searchParams.delete(name);
    here.hash = "";
    history.replaceState(null, "", here);
    const place = sessionStorage.getItem(KEPT);
    if (place !== null) scrollTo(0, Number(place));
  }
  sessionStorage.removeItem(KEPT);

  // "/" goes to the search, j and k to the next and the previous row of a list, x selects the row, a goes to the acts.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
    if (event.key === "/") {
      event.preventDefault();
      document.querySelector(".find input")?.focus();
    } else if (event.key === "j" || event.key === "k") {
      const rows = [...document.querySelectorAll("table.rows tbody tr")].map((row) => row.querySelector(".what > a") || row.querySelector("a")).filter(Boolean);
      const at = rows.findIndex((row) => row === document.activeElement || row.closest("tr").contains(document.activeElement));
      const next = event.key === "j" ? at + 1 : at < 0 ? rows.length - 1 : at - 1;
      rows[Math.min(Math.max(next, 0), rows.length - 1)]?.focus();
    } else if (event.key === "x") {
      document.activeElement.closest("tr")?.querySelector(".pick input")?.click();
    } else if (event.key === "a") {
      const act = document.querySelector(".many:has(.pick :checked) .bar button.first") || document.querySelector("#acts button");
      act?.focus();
    }
  });

  const live = document.querySelector("[data-live]");
  if (!live || !window.EventSource) return;
  const PARTS = { all: ["live"], incident: ["state", "history", "told-log", "acts"], news: [] }[live.dataset.live];
  let after = live.dataset.after;
  let news = 0;
  let due = 0;
  let stream = null;

  // The server's own page is fetched again and its parts are put in place of the old ones: there is one way to render.
  async function refresh() {
    due = 0;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of PARTS) replace(document.getElementById(id), page.getElementById(id));
  }

  function replace(old, fresh) {
    if (!old || !fresh || old.innerHTML === fresh.innerHTML) return;
    const writing = [...old.querySelectorAll("textarea")].some((one) => one.value) || old.querySelector(".pick :checked");
    if (writing) return;
    const focus = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    fresh.classList.add("fresh");
    old.replaceWith(document.adoptNode(fresh));
    if (focus) fresh.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
  }

  function tell() {
    let line = document.getElementById("news");
    if (!line) {
      line = document.createElement("p");
      line.id = "news";
      line.className = "notice";
      line.setAttribute("role", "status");
      live.before(line);
    }
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = "load again";
    line.replaceChildren(`${news} new or changed since: `, link);
  }

  function happened(event) {
    after = event.lastEventId || after;
    const change = JSON.parse(event.data);
    if (live.dataset.live === "news") {
      news += 1;
      tell();
      return;
    }
    if (live.dataset.live === "incident" && ![change.incident_id, change.incident?.joined_into].includes(live.dataset.incident)) return;
    if (!due) due = setTimeout(refresh, WAIT_MS);
  }

  function listen() {
    if (document.hidden) {
      stream?.close();
      stream = null;
    } else if (!stream) {
      stream = new EventSource(`/api/v1/events?after=${encodeURIComponent(after)}`);
      stream.addEventListener("change", happened);
    }
  }

  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => stream?.close());
  listen();
})();
