// The map of places: clusters over tiles, or over the outline of Korea alone, and the list and the panel beside it.

const element = document.getElementById("map");
const form = document.getElementById("map-filter");
const list = document.getElementById("map-list");
const panel = document.getElementById("map-panel");
const words = element.dataset;
const number = new Intl.NumberFormat(document.documentElement.lang);
const narrow = matchMedia("(max-width: 900px)");
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

// Cities by which one finds one's way without tiles; the smaller ones only further in.
const cities = [
  ["서울", "Seoul", 37.5665, 126.978, 0], ["부산", "Busan", 35.1796, 129.0756, 0], ["대구", "Daegu", 35.8714, 128.6014, 0], ["인천", "Incheon", 37.4563, 126.7052, 8],
  ["광주", "Gwangju", 35.1595, 126.8526, 0], ["대전", "Daejeon", 36.3504, 127.3845, 0], ["울산", "Ulsan", 35.5384, 129.3114, 8], ["세종", "Sejong", 36.48, 127.289, 9],
  ["수원", "Suwon", 37.2636, 127.0286, 9], ["춘천", "Chuncheon", 37.8813, 127.7298, 8], ["강릉", "Gangneung", 37.7519, 128.8761, 0], ["속초", "Sokcho", 38.207, 128.5918, 9],
  ["청주", "Cheongju", 36.6424, 127.489, 9], ["천안", "Cheonan", 36.8151, 127.1139, 9], ["전주", "Jeonju", 35.8242, 127.148, 8], ["군산", "Gunsan", 35.9677, 126.7366, 9],
  ["여수", "Yeosu", 34.7604, 127.6622, 8], ["목포", "Mokpo", 34.8118, 126.3922, 8], ["포항", "Pohang", 36.019, 129.3435, 8], ["경주", "Gyeongju", 35.8562, 129.2247, 9],
  ["안동", "Andong", 36.5684, 128.7294, 8], ["창원", "Changwon", 35.2279, 128.6811, 9], ["통영", "Tongyeong", 34.8544, 128.4332, 9], ["제주", "Jeju", 33.4996, 126.5312, 0], ["서귀포", "Seogwipo", 33.2541, 126.5601, 9],
];

let map, clusters, markers;
let wanted = 0; // the newest request for places: an answer to an older one is not shown

// filter is what the form says, without what is empty.
function filter() {
  const q = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value.trim()) q.set(name, value);
  return q;
}

async function ask(path, query) {
  const answer = await fetch(path + "?" + query, { headers: { Accept: "text/html", "HX-Request": "true" } });
  if (answer.status === 401) location.reload(); // to the form that lets in
  return answer;
}

function text(tag, className, content) {
  const e = document.createElement(tag);
  e.className = className;
  e.textContent = content;
  return e;
}

// The position at which the map stands is behind the #, so that a link shows the same.
function place() {
  const [zoom, lat, lng] = location.hash.slice(1).split("/").map(Number);
  return location.hash && [zoom, lat, lng].every(Number.isFinite) ? { zoom, lat, lng } : undefined;
}

// remember puts the position and the place in the panel into the address.
function remember() {
  if (!map) return;
  const c = map.getCenter();
  const q = new URLSearchParams(location.search);
  const chosen = panel.querySelector("h2")?.dataset.place;
  if (chosen) q.set("place", chosen);
  else q.delete("place");
  history.replaceState(null, "", `${location.pathname}${q.size ? "?" + q : ""}#${map.getZoom()}/${c.lat.toFixed(4)}/${c.lng.toFixed(4)}`);
}

function begin() {
  map = L.map(element, {
    zoomControl: false, minZoom: 5, maxZoom: 18, maxBounds: [[25, 112], [46, 141]], maxBoundsViscosity: 0.8, worldCopyJump: false,
    zoomAnimation: !still, fadeAnimation: !still, markerZoomAnimation: false,
  });
  L.control.zoom({ zoomInTitle: words.zoomIn, zoomOutTitle: words.zoomOut }).addTo(map);
  map.attributionControl.setPrefix(false);
  L.control.scale({ imperial: false }).addTo(map);
  map.createPane("outline").style.zIndex = 150;
  map.createPane("cities").style.zIndex = 160;
  const at = place();
  const chosen = panel.querySelector("h2");
  if (at) map.setView([at.lat, at.lng], at.zoom);
  else if (chosen?.dataset.lat) map.setView([chosen.dataset.lat, chosen.dataset.lng], 16);
  else map.fitBounds([[33.1, 125.8], [38.6, 129.7]]);
  markers = L.layerGroup().addTo(map);
  outline().catch(console.warn);
  tiles();
  mark(!at);
  map.on("moveend", () => {
    draw();
    remember();
    later();
  });
}

async function outline() {
  const land = await (await fetch(words.outline)).json();
  L.geoJSON(land, { pane: "outline", interactive: false, style: (f) => ({ className: f.properties.korea ? "map-land here" : "map-land", weight: 1 }) }).addTo(map);
  const names = L.layerGroup().addTo(map);
  const show = () => {
    names.clearLayers();
    for (const [ko, en, lat, lng, from] of cities) {
      if (map.getZoom() < from) continue;
      const name = text("span", "", document.documentElement.lang === "ko" ? ko : en);
      L.marker([lat, lng], { pane: "cities", interactive: false, keyboard: false, icon: L.divIcon({ className: "map-city", html: name, iconSize: null }) }).addTo(names);
    }
  };
  map.on("zoomend", show);
  show();
}

function tiles() {
  if (!words.tiles) return;
  const whose = document.createElement(words.attributionUrl ? "a" : "span");
  whose.textContent = words.attribution;
  if (words.attributionUrl) whose.href = words.attributionUrl;
  map.attributionControl.addAttribution(whose.outerHTML);
  // Servers of tiles want to know which site asks, and need not know more.
  L.tileLayer(words.tiles, { maxZoom: 19, subdomains: "abc", referrerPolicy: "strict-origin-when-cross-origin" }).addTo(map);
}

// load asks for the places that the filter leaves and puts them into clusters.
let loaded; // the filter of those that are shown
async function load() {
  const mine = ++wanted;
  const q = filter();
  const answer = await ask("/map/points", q);
  if (!answer.ok) throw new Error(answer.status);
  const { points } = await answer.json();
  if (mine !== wanted) return;
  performance.mark("map-points");
  const features = new Array(points.length / 2);
  let lat = 0, lng = 0;
  for (let i = 0; i < features.length; i++) {
    lat += points[2 * i];
    lng += points[2 * i + 1];
    features[i] = { type: "Feature", properties: { lat, lng }, geometry: { type: "Point", coordinates: [lng / 1e5, lat / 1e5] } };
  }
  clusters = new Supercluster({ radius: 84, minZoom: 5, maxZoom: 17, minPoints: 2 }).load(features);
  performance.measure("map-clusters", "map-points");
  loaded = String(q);
  draw(true);
  element.dataset.shown = features.length;
}

const drawn = new Map(); // markers by what they stand for, so that one keeps the focus while it is shown

function draw(anew) {
  if (!clusters) return;
  if (anew) {
    called.clear(); // with another filter another one may stand for a spot
    markers.clearLayers();
    drawn.clear();
  }
  const zoom = Math.round(map.getZoom());
  const b = map.getBounds().pad(0.1);
  const keep = new Set();
  for (const c of clusters.getClusters([b.getWest(), b.getSouth(), b.getEast(), b.getNorth()], zoom)) {
    const [lng, lat] = c.geometry.coordinates;
    const k = c.properties.cluster ? `${zoom}/${c.id}` : key(c);
    if (keep.has(k)) continue; // several places at one spot, all the way in
    keep.add(k);
    if (drawn.has(k)) continue;
    const marker = c.properties.cluster ? cluster(c, lat, lng) : one(c, lat, lng);
    drawn.set(k, marker.addTo(markers));
  }
  for (const [key, marker] of drawn) {
    if (keep.has(key)) continue;
    markers.removeLayer(marker);
    drawn.delete(key);
  }
  element.dataset.drawn = drawn.size;
  names().catch(console.warn); // without names the dots say what they do
}

// names gives the dots the names of their places.
const called = new Map(); // names by position
async function names() {
  const bare = [...drawn].filter(([k, m]) => m.dot && !called.has(k)).map(([k]) => k).slice(0, 200);
  if (!bare.length) return;
  const shown = loaded;
  const q = filter();
  q.set("at", bare.join(","));
  for (const k of bare) called.set(k, "");
  let all;
  try {
    const answer = await ask("/map/names", q);
    if (!answer.ok) throw new Error(answer.status);
    all = (await answer.json()).names;
  } catch (error) {
    if (shown === loaded) for (const k of bare) called.delete(k); // with the next move
    throw error;
  }
  if (shown !== loaded) return; // meanwhile others stand at these spots
  for (let i = 0; i < all.length; i += 3) {
    const k = all[i] + "," + all[i + 1];
    called.set(k, all[i + 2]);
    if (drawn.get(k)?.dot) call(drawn.get(k), k);
  }
}

function call(marker, k) {
  const name = called.get(k);
  const e = marker.getElement();
  if (!name || !e) return;
  e.setAttribute("aria-label", name);
  e.title = name;
}

function key({ properties }) {
  return properties.lat + "," + properties.lng;
}

// button is a marker that is pressed by the mouse or the keyboard.
function button(marker, label, press) {
  marker.on("add", () => marker.getElement().setAttribute("aria-label", label));
  marker.on("click", press);
  marker.on("keydown", ({ originalEvent: e }) => {
    if (e.key !== "Enter" && e.key !== " ") return;
    e.preventDefault();
    press();
    if (document.activeElement === document.body) element.focus({ preventScroll: true }); // the marker has come apart
  });
  return marker;
}

function cluster(c, lat, lng) {
  const n = c.properties.point_count;
  const size = Math.round(26 + 7 * Math.log10(n));
  const marker = L.marker([lat, lng], { icon: L.divIcon({ className: "map-cluster", html: text("span", "", short(n)), iconSize: [size, size] }), riseOnHover: true });
  return button(marker, words.cluster.replace("%s", number.format(n)), () => {
    const zoom = Math.min(clusters.getClusterExpansionZoom(c.id), map.getMaxZoom());
    // Places at one spot do not come apart however close one looks.
    const leaves = zoom === map.getMaxZoom() ? clusters.getLeaves(c.id, Infinity) : [];
    if (leaves.length && leaves.every((l) => key(l) === key(leaves[0]))) return open(leaves[0].properties);
    map.setView([lat, lng], zoom, { animate: !still });
  });
}

function one(c, lat, lng) {
  const marker = L.marker([lat, lng], { icon: L.divIcon({ className: "map-dot", iconSize: [24, 24] }), riseOnHover: true });
  marker.dot = true;
  button(marker, words.place, () => open(c.properties));
  marker.on("add", () => call(marker, key(c)));
  return marker;
}

function short(n) {
  return n < 1000 ? String(n) : n < 10000 ? (n / 1000).toFixed(1) + "k" : Math.round(n / 1000) + "k";
}

// open shows what is at a spot in the panel.
async function open({ lat, lng }) {
  const q = filter();
  q.set("lat", lat);
  q.set("lng", lng);
  try {
    await show(await ask("/map/at", q));
  } catch (error) {
    failed(error);
  }
}

async function show(answer) {
  if (!answer.ok && answer.status !== 404) throw new Error(answer.status);
  works();
  panel.innerHTML = await answer.text();
  panel.hidden = false;
  mark();
  remember();
  panel.querySelector("h2, h1")?.focus({ preventScroll: true });
  panel.parentElement.scrollTop = 0;
  if (narrow.matches) panel.scrollIntoView({ block: "start" });
}

// mark shows on the map where the place in the panel is; with move it comes into view.
let ring;
function mark(move = true) {
  ring?.remove();
  const { lat, lng } = panel.querySelector("h2")?.dataset ?? {};
  if (!lat) return;
  const at = L.latLng(Number(lat), Number(lng));
  ring = L.marker(at, { icon: L.divIcon({ className: "map-ring", iconSize: [34, 34] }), interactive: false, keyboard: false, zIndexOffset: 1000 }).addTo(map);
  if (move && !map.getBounds().pad(-0.05).contains(at)) map.panTo(at, { animate: !still });
}

function close() {
  panel.hidden = true;
  panel.replaceChildren();
  ring?.remove();
  remember();
}

// The list shows what is in view, once the map stands still. What was not answered before is asked for again.
let timer;
function later() {
  clearTimeout(timer);
  timer = setTimeout(() => Promise.all([fill(1), loaded !== String(filter()) && load()]).then(works, failed), 150);
}

let listed = 0;
async function fill(page) {
  const mine = ++listed;
  const q = filter();
  const b = map.getBounds();
  q.set("box", [b.getSouth(), b.getWest(), b.getNorth(), b.getEast()].map((n) => n.toFixed(5)).join(","));
  if (page > 1) q.set("page", page);
  const answer = await ask("/map/list", q);
  if (!answer.ok) throw new Error(answer.status);
  const html = await answer.text();
  if (mine !== listed) return;
  list.innerHTML = html;
  document.getElementById("map-count").textContent = list.querySelector("h2").textContent; // for who does not see it change
  list.dataset.box = q.get("box");
}

async function refilter() {
  const q = filter();
  history.pushState(null, "", location.pathname + (q.size ? "?" + q : "") + location.hash);
  for (const link of document.querySelectorAll("[data-file]")) link.href = link.dataset.file + (q.size ? "?" + q : "");
  close();
  await Promise.all([load(), fill(1)]).then(works, failed);
}

function works() { element.querySelector(".map-failed")?.remove(); }

function failed(error, said = words.lost) {
  console.warn(error);
  works();
  const line = text("p", "alert bad map-failed", said);
  line.setAttribute("role", "alert");
  element.append(line);
}

form.addEventListener("change", refilter);
form.addEventListener("submit", (e) => {
  e.preventDefault();
  refilter();
});
document.querySelector(".map-view").addEventListener("click", (e) => press(e).catch((error) => failed(error)));

async function press(e) {
  if (e.ctrlKey || e.metaKey || e.shiftKey) return;
  const link = e.target.closest("a");
  if (!link) return;
  if (link.hasAttribute("data-close-panel")) {
    e.preventDefault();
    close();
    element.focus({ preventScroll: true });
  } else if (link.dataset.place) {
    e.preventDefault();
    const { place, lat, lng } = link.dataset;
    if (lat) map.setView([lat, lng], Math.max(map.getZoom(), 16), { animate: false });
    await show(await ask("/map/place/" + encodeURIComponent(place), filter()));
  } else if (link.closest(".pager")) {
    e.preventDefault();
    await fill(Number(new URL(link.href).searchParams.get("page")));
    works();
    list.parentElement.scrollTop = 0;
    if (narrow.matches) list.scrollIntoView({ block: "start" });
    list.querySelector("a")?.focus({ preventScroll: true });
  }
}
addEventListener("popstate", () => location.reload());

if (narrow.matches && !filter().size) document.querySelector(".map-filter").open = false;
try {
  begin();
  await Promise.all([load(), fill(1)]);
} catch (error) {
  failed(error, words.failed);
}
