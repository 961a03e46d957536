// Reviews without waiting for a page: the next cards are here already, and answers go to the server one after the other
// behind what is shown. Without this script each answer is a form.

const root = document.getElementById("review");
const single = root.hasAttribute("data-single");
const place = document.getElementById("review-card");
const end = document.getElementById("review-end");
const said = document.getElementById("review-said");
const problems = document.getElementById("review-problems");
const left = document.getElementById("review-left");
const pipeline = root.dataset.pipeline;
const html = { Accept: "text/html", "HX-Request": "true" };

const ahead = []; // cards that come next
const done = []; // what was answered or skipped, the last one last
let fetched = last(); // up to which mention cards are here
let more = true; // there may be cards behind that
let fetching; // the request for them
let lost = false; // the last one was not answered
let sending = Promise.resolve(); // the answers under way, in order
let open = 0; // answers that are not stored yet
let skipped = false;

// card is the one that is decided now. While the next one is still on its way the last one stays, and takes no answer.
function card() { return place.querySelector(".review-card:not([inert])"); }
function id(c) { return c ? Number(c.dataset.mention) : 0; }
function last() { return id(card()); }

function cardsIn(text) {
  const t = document.createElement("template");
  t.innerHTML = text;
  return [...t.content.querySelectorAll(".review-card")];
}

// fill fetches cards until there are enough of them.
function fill() {
  if (single || !more || ahead.length > 4 || fetching) return fetching;
  const q = new URLSearchParams({ after: fetched });
  if (pipeline) q.set("pipeline", pipeline);
  fetching = fetch("/review/cards?" + q, { headers: html }).then(async (r) => {
    if (!r.ok) throw new Error(r.status);
    const cards = cardsIn(await r.text());
    more = cards.length > 0;
    if (more) fetched = id(cards[cards.length - 1]);
    ahead.push(...cards);
    lost = false;
  }).catch(() => {
    if (!lost) problem(root.dataset.lost, location.href);
    lost = true;
  }).finally(() => {
    fetching = undefined;
    if (!card() && ahead.length) show(ahead.shift());
    else if (!card() && !more) show();
    if (lost) setTimeout(fill, 3000);
    else fill();
  });
  return fetching;
}

// check drops what somebody else has decided meanwhile from the cards that come next, and counts what is left for all, unless
// something came to its end while it asked: then it asks again.
let checking = false, settled = 0;
async function check() {
  if (single || checking) return;
  checking = true;
  const asked = [...ahead], before = settled;
  const still = () => open === 0 && !undoing && settled === before;
  try {
    const quiet = still();
    const r = await fetch("/review/waiting?" + new URLSearchParams({ ids: asked.map(id).join(","), pipeline }), { headers: html });
    if (!r.ok) return;
    const { waiting, left: all } = await r.json();
    for (const c of asked) {
      const i = ahead.indexOf(c);
      if (i >= 0 && waiting[id(c)] !== c.querySelector("input[name=seen]").value) ahead.splice(i, 1);
    }
    if (quiet && still()) count(all - Number(left.dataset.left));
  } catch { /* an answer to a decided one is refused, and says so */ } finally {
    checking = false;
  }
  fill();
  if (settled !== before) check();
}

// settle follows what was sent, whatever came of it.
function settle() {
  settled++;
  check();
}

// show puts a card where the last one was; none: that was all.
function show(next) {
  if (!next && more) {
    card()?.setAttribute("inert", "");
    return;
  }
  next?.removeAttribute("inert");
  place.replaceChildren(...(next ? [next] : []));
  end.hidden = Boolean(next);
  if (!next) document.getElementById("review-restart").hidden = !skipped && Number(left.dataset.left) === 0;
  if (next) {
    history.replaceState(null, "", "/review?" + new URLSearchParams({ after: id(next) - 1, ...(pipeline && { pipeline }) }));
    prepare(next);
    next.querySelector("h2").focus({ preventScroll: true });
    scrollTo({ top: 0 });
  } else {
    end.querySelector("p").tabIndex = -1;
    end.querySelector("p").focus();
  }
}

// prepare brings the first mark of a caption into sight.
function prepare(c) {
  const box = c.querySelector(".caption");
  const mark = box.querySelector("mark.name") ?? box.querySelector("mark");
  if (mark) box.scrollTop = Math.max(0, mark.offsetTop - box.offsetTop - box.clientHeight / 3);
  const undo = c.querySelector(".undo-card");
  if (undo) undo.hidden = done.length === 0;
}

function forward(entry) {
  done.push(entry);
  document.querySelector(".undo")?.remove();
  show(ahead.shift());
  fill();
}

function count(by) {
  left.dataset.left = Math.max(0, Number(left.dataset.left) + by);
  left.textContent = left.dataset.text.replace("%s", Number(left.dataset.left).toLocaleString("en-US"));
}

// answer sends what was chosen and shows the next card at once.
function answer(c, form, choice) {
  const body = new URLSearchParams(new FormData(form));
  body.set("choice", choice);
  const entry = { card: c };
  open++;
  count(-1);
  entry.stored = sending = sending.then(async () => {
    try {
      const r = await fetch(form.action, { method: "POST", body, headers: { ...html, Accept: "application/json" }, keepalive: true });
      const a = (r.headers.get("Content-Type") ?? "").startsWith("application/json") ? await r.json() : {};
      if (!r.ok) return failed(entry, a.problem ?? `${root.dataset.failed} ${name(c)}`);
      entry.seen = a.seen;
      if (!a.seen) forget(entry); // somebody else has decided the same: nothing to take back
      say(a.said);
    } catch {
      failed(entry, `${root.dataset.failed} ${name(c)}`);
    } finally {
      open--;
      settle();
    }
  });
  forward(entry);
}

function forget(entry) {
  const i = done.indexOf(entry);
  if (i >= 0) done.splice(i, 1);
}

function failed(entry, text) {
  forget(entry);
  count(1);
  problem(text, "/review/" + id(entry.card));
  if (card()) prepare(card());
}

function problem(text, link) {
  const line = document.createElement("p");
  line.className = "alert bad";
  const words = document.createElement("bdi");
  words.textContent = text;
  const again = document.createElement("a");
  again.href = link;
  again.textContent = root.dataset.again;
  line.append(words, " ", again);
  problems.append(line);
}

// name is that of a card's restaurant within a text of ours: its marks of direction end with it.
function name(c) { return `\u2068${c.querySelector("h2").textContent.replace(/[\u2066-\u2069]/g, "")}\u2069`; }
function say(text) { if (said) said.textContent = text; }

function skip(c) {
  skipped = true;
  say(`${name(c)}: ${root.dataset.skipped}`);
  forward({ card: c, skipped: true });
  check();
}

// undo brings the last card back, and takes its answer back if it had one.
let undoing = false;
async function undo() {
  const entry = done.at(-1);
  if (!entry || undoing) return;
  undoing = true;
  try {
    if (!entry.skipped) await entry.stored;
    if (done.at(-1) !== entry) return; // it was not stored
    done.pop();
    let back = entry.card;
    if (!entry.skipped) {
      const r = await fetch(`/review/${id(back)}/undo`, { method: "POST", body: new URLSearchParams({ seen: entry.seen, pipeline }), headers: html });
      if (!r.ok) {
        const a = (r.headers.get("Content-Type") ?? "").startsWith("application/json") ? await r.json() : {};
        problem(a.problem ?? root.dataset.failed, "/review/" + id(back));
        return;
      }
      [back] = cardsIn(await r.text());
      count(1);
    }
    if (card()) ahead.unshift(card());
    show(back);
    say(`${name(back)}: ${root.dataset.back}`);
  } catch {
    problem(`${root.dataset.failed} ${name(entry.card)}`, "/review/" + id(entry.card));
  } finally {
    undoing = false;
    settle();
  }
}

async function search(c, form) {
  const found = c.querySelector(".found");
  found.setAttribute("aria-busy", "true");
  try {
    const r = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: html });
    if (!r.ok) throw new Error(r.status);
    found.innerHTML = await r.text();
    found.querySelector("button")?.focus();
  } catch {
    problem(root.dataset.unsearched, "/review/" + id(c));
  } finally {
    found.removeAttribute("aria-busy");
  }
}

root.addEventListener("submit", (e) => {
  const c = e.target.closest(".review-card");
  if (e.target.matches(".search")) {
    e.preventDefault();
    search(c, e.target);
  } else if (!single && e.target.matches(".answer") && e.submitter) {
    e.preventDefault();
    answer(c, e.target, e.submitter.value);
  }
});

root.addEventListener("click", (e) => {
  if (single || e.ctrlKey || e.metaKey || e.shiftKey) return;
  const link = e.target.closest(".skip-card");
  if (link) {
    e.preventDefault();
    skip(card());
  } else if (e.target.closest(".undo-card")) {
    undo();
  }
});

// keyOf is the letter or figure that a key stands for. With a Korean keyboard, or while one composes, the letters are those of the
// same keys; a key that writes nothing, as the arrows of a keypad, stands for none.
function keyOf(e) {
  if (/^[a-z0-9]$/i.test(e.key)) return e.key.toLowerCase();
  return [...e.key].length === 1 || e.key === "Process" ? e.code.replace(/^(Key|Digit)(?=.$)/, "").toLowerCase() : "";
}

const on = document.getElementById("review-keys-on");
on.checked = localStorage.getItem("review-keys") !== "off";
on.addEventListener("change", () => localStorage.setItem("review-keys", on.checked ? "on" : "off"));

document.addEventListener("keydown", (e) => {
  if (!on.checked || e.ctrlKey || e.metaKey || e.altKey || e.isComposing || e.repeat) return;
  if (e.target.closest("input:not([type=checkbox]), textarea, select, dialog")) {
    if (e.key === "Escape") e.target.blur();
    return;
  }
  const key = keyOf(e);
  const c = card();
  if (key === "u") {
    e.preventDefault();
    const form = document.querySelector("form.undo");
    if (done.length === 0 && form) form.requestSubmit();
    else undo();
    return;
  }
  if (!c) return;
  const press = (button) => {
    e.preventDefault();
    if (button && !button.disabled) button.click();
  };
  if (/^[1-9]$/.test(key)) press(c.querySelector(`button[name=choice][value="${key}"]`));
  else if (key === "a") press(c.querySelector('button[name=choice][value="1"]'));
  else if (key === "n") press(c.querySelector('button[name=choice][value="none"]'));
  else if (key === "s") press(c.querySelector(".skip-card"));
  else if (key === "o") {
    e.preventDefault();
    c.querySelector("input[name=words]").focus();
  }
});

addEventListener("beforeunload", (e) => { if (open > 0) e.preventDefault(); });

if (card()) prepare(card());
fill();
