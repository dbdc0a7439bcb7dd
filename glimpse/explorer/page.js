// The page: what is chosen and shown, buttons, keys, the fragment of the address, the animation, dark and light.

const state = { row: null, shown: most, timer: null, addressTimer: null };
const body = document.querySelector("tbody");
const frameMilliseconds = 900, lastFrameMilliseconds = 2000, addressMilliseconds = 250;

function select(row, scroll = true) {
  if (!row) return;
  state.row = row;
  const place = listed.indexOf(row);
  drawUpTo(body, place);
  body.querySelector("tr.chosen")?.classList.remove("chosen");
  const line = place < 0 ? null : body.children[place];
  line?.classList.add("chosen");
  if (scroll && line) scrollTo(line);
  // Browsers refuse an address that changes as fast as a key repeats.
  clearTimeout(state.addressTimer);
  state.addressTimer = setTimeout(() => history.replaceState(null, "", fragmentOf(row)), addressMilliseconds);
  show();
}

// Scrolls the table until a line of it is seen, below the headings; scrollIntoView would scroll a narrow page too.
function scrollTo(line) {
  const table = document.getElementById("scroll"), top = line.offsetTop - document.querySelector("thead").offsetHeight;
  const bottom = line.offsetTop + line.offsetHeight - table.clientHeight;
  table.scrollTop = Math.max(Math.min(table.scrollTop, top), bottom);
}

function show() {
  for (const button of document.querySelectorAll("#steps [data-step]")) {
    button.ariaPressed = String(Number(button.dataset.step) === state.shown);
  }
  for (const box of document.querySelectorAll("#layers input")) box.checked = isOn(box.name);
  if (state.row) showDetail(state.row, state.shown);
}

function relist() {
  list(body);
  document.getElementById("summary").textContent = summaryText();
  document.getElementById("scroll").scrollTop = 0;
  select(listed.includes(state.row) || !listed.length ? state.row : listed[0]);
}

// To the next object (1) or the one before (-1); to the first where the chosen one is not listed.
function stepObject(by) {
  const place = listed.indexOf(state.row);
  select(listed[place < 0 ? 0 : Math.min(Math.max(place + by, 0), listed.length - 1)]);
}

function stepGlimpse(by) {
  stop();
  state.shown = Math.min(Math.max(state.shown + by, 1), most);
  show();
}

function showUpTo(step) {
  stop();
  state.shown = step;
  show();
}

// Plays the glimpses from the first one on, again and again.
function play() {
  if (state.timer) return stop();
  const frame = (step) => {
    state.shown = step;
    state.timer = setTimeout(() => frame(step % most + 1), step === most ? lastFrameMilliseconds : frameMilliseconds);
    show();
  };
  frame(1);
  playButton();
}

function stop() {
  clearTimeout(state.timer);
  state.timer = null;
  playButton();
}

function playButton() {
  const button = document.getElementById("play");
  button.textContent = state.timer ? "❚❚" : "▶";
  button.title = state.timer ? "stop (space)" : "play through the glimpses (space)";
  button.ariaLabel = button.title;
}

function toggle(layer) {
  layer.on = !layer.on;
  show();
}

function buildControls() {
  const steps = document.getElementById("steps"), play_ = element("button", { type: "button", id: "play" });
  play_.addEventListener("click", play);
  steps.append(play_);
  for (let step = 1; step <= most; step++) {
    const button = element("button", { type: "button", "data-step": `${step}`, title: `after glimpse ${step} (←, →)` },
      `${step}`);
    button.addEventListener("click", () => showUpTo(step));
    steps.append(button);
  }
  for (const layer of layers) {
    const box = element("input", { type: "checkbox", name: layer.name });
    box.addEventListener("change", () => toggle(layer));
    document.getElementById("layers").append(
      element("label", { title: `key ${layer.key}`, "data-layer": layer.name }, box, element("i"), layer.label));
  }
  playButton();
  document.getElementById("previous").addEventListener("click", () => stepObject(-1));
  document.getElementById("next").addEventListener("click", () => stepObject(1));
}

const keys = [
  { keys: ["ArrowUp", "k"], shown: "↑ ↓ or k j", what: "the object before, the next one", act: () => stepObject(-1) },
  { keys: ["ArrowDown", "j"], act: () => stepObject(1) },
  { keys: ["ArrowLeft"], shown: "← →", what: "a glimpse less, a glimpse more", act: () => stepGlimpse(-1) },
  { keys: ["ArrowRight"], act: () => stepGlimpse(1) },
  { keys: [" "], shown: "space", what: "play through the glimpses, or stop", act: play },
  ...layers.map((layer) => ({ keys: [layer.key], shown: layer.key, what: `${layer.label} on or off`,
    act: () => toggle(layer) })),
  { keys: ["/"], shown: "/", what: "find an image", act: () => document.querySelector("[name=image]").focus() },
  { keys: ["?"], shown: "?", what: "these keys", act: () => document.getElementById("keys-dialog").showModal() },
];

function onKey(event) {
  const typing = /^(INPUT|SELECT)$/.test(event.target.tagName) && event.target.type !== "checkbox";
  const pressing = event.key === " " && /^(BUTTON|INPUT)$/.test(event.target.tagName); // a button's own key
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || pressing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) {
    return;
  }
  const found = keys.find((each) => each.keys.includes(event.key));
  if (!found) return;
  event.preventDefault();
  found.act();
}

// Colours as the system has them, or as chosen here; kept where the browser lets a file keep anything.
function buildTheme() {
  const button = document.getElementById("theme"), themes = ["system", "dark", "light"];
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = { system: "◐", dark: "☾", light: "☀" }[theme];
    button.ariaLabel = `colours: ${theme}`;
  };
  let theme = "system";
  try {
    theme = localStorage.getItem("glimpse-theme") || theme;
  } catch { /* nothing is kept */ }
  apply(themes.includes(theme) ? theme : "system");
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length];
    apply(next);
    try {
      localStorage.setItem("glimpse-theme", next);
    } catch { /* nothing is kept */ }
  });
}

function start() {
  document.getElementById("runs").textContent = about.runs.map((run, place) =>
    (compared ? `${runLetters[place]}: ` : "") + `${brokenName(run)}, mAP 50:95 ${percent(run.map["50:95"])}`)
    .join(" · ");
  document.body.dataset.runs = about.runs.length;
  buildTheme();
  buildControls();
  buildDialog("about", aboutContent());
  buildDialog("keys", element("h2", {}, "Keys"), tableOf(["key", "what it does"], keys.filter((each) => each.shown)
    .map((each) => ({ cells: [each.shown, each.what] }))));
  buildFilters(document.getElementById("filters"), relist);
  buildHead(document.querySelector("thead"), relist);
  body.addEventListener("click", (event) => {
    select(rowOf.get(event.target.closest("tr")?.dataset.id), false);
    if (matchMedia("(max-width: 60rem)").matches) document.getElementById("detail").scrollIntoView();
  });
  const seen = (entries) => entries.some((entry) => entry.isIntersecting) && drawUpTo(body, drawn);
  new IntersectionObserver(seen, { root: document.getElementById("scroll") }).observe(document.getElementById("more"));
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", () => select(rowOfFragment(location.hash)));
  const linked = rowOfFragment(location.hash);
  if (linked) state.row = linked;
  relist();
}

start();
