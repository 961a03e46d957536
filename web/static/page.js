// What every view shares: figures that change by themselves, questions in a dialog, and a mark for what is shown as live.

const dialog = document.getElementById("dialog");

// A link with data-dialog leads to a page that asks something. With a script the question comes as a dialog.
document.addEventListener("click", async (e) => {
  const link = e.target.closest("a[data-dialog]");
  if (link && !e.ctrlKey && !e.metaKey && !e.shiftKey) {
    e.preventDefault();
    try {
      const answer = await fetch(link.href, { headers: { Accept: "text/html", "HX-Request": "true" } });
      if (!answer.ok) throw new Error(answer.status);
      dialog.innerHTML = await answer.text();
      dialog.showModal();
    } catch {
      location.href = link.href;
    }
    return;
  }
  if (dialog.open && (e.target === dialog || e.target.closest("[data-close]"))) {
    e.preventDefault();
    dialog.close();
  }
});

// The Enter that asks must not answer, too, nor the one that leaves a question ask it again: it may be held down, or be heard in two
// halves. It counts only where it was pressed: within the dialog, or outside.
let within = false;
document.addEventListener("keydown", enter, true);
document.addEventListener("keypress", enter, true);

function enter(e) {
  if (e.key !== "Enter" || !dialog) return;
  const inside = dialog.contains(e.target);
  if (e.type === "keydown" && !e.repeat) within = inside;
  if (inside !== within) e.preventDefault();
}

// On a narrow screen the views do not fit beside each other: the one that is shown is in sight.
const shown = document.querySelector(".top nav [aria-current]");
if (shown) shown.closest("nav").scrollLeft = shown.offsetLeft + (shown.offsetWidth - innerWidth) / 2;

// Who chooses a language or a theme comes back to where he stands on the page: what follows the # stays through the answer.
document.addEventListener("submit", (e) => {
  if (e.target.matches('form[action^="/look"]')) e.target.action = "/look" + location.hash;
});

// The element with data-events names what is watched. Each event carries the inside of one element.
const watched = document.querySelector("[data-events]");
const mark = document.getElementById("live");
let source, again;
let wait = 2000; // ms until the next attempt, when the browser itself makes none

function watch() {
  source = new EventSource("/events?" + watched.dataset.events);
  source.addEventListener("block", (e) => {
    const { id, html } = JSON.parse(e.data);
    const target = document.getElementById(id);
    if (target) htmx.swap({ sourceElement: target, target, text: html, swap: "innerMorph" });
    say("live");
    document.dispatchEvent(new CustomEvent("sumbi:block", { detail: { id } }));
  });
  source.addEventListener("lost", () => say("lost")); // the server is there, but cannot read
  source.onopen = () => { wait = 2000; };
  source.onerror = () => {
    say("lost");
    if (source?.readyState === EventSource.CLOSED) later();
  };
}

// later makes another attempt: a browser makes none after an answer that is no stream.
function later() {
  clearTimeout(again);
  again = setTimeout(retry, wait);
  wait = Math.min(2 * wait, 60000);
}

async function retry() {
  const ended = source;
  const stop = new AbortController();
  const giveUp = setTimeout(() => stop.abort(), 10000);
  let status = 0; // not answered
  try {
    ({ status } = await fetch("/events?" + watched.dataset.events, { headers: { Accept: "text/event-stream" }, signal: stop.signal }));
  } catch { /* the next attempt may reach it */ }
  clearTimeout(giveUp);
  stop.abort();
  if (source !== ended) return; // hidden meanwhile, and perhaps shown again
  if (status === 401) location.reload(); // to the form that lets in
  else if (status === 200) watch();
  else later();
}

function say(state) {
  mark.hidden = false;
  mark.className = "live " + state;
  if (mark.textContent !== mark.dataset[state]) mark.textContent = mark.dataset[state];
}

if (watched && mark) {
  // A browser opens few connections to one server: a tab that nobody looks at needs none.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(again);
    source?.close();
    source = undefined;
    if (!document.hidden) watch();
  });
  if (!document.hidden) watch();
}
