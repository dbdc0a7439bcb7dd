// The dialogs: what is shown here and by which runs, and the keys.

// A dialog that any click outside of it closes, as Escape does.
function buildDialog(name, ...content) {
  const dialog = document.getElementById(`${name}-dialog`);
  const close = element("button", { type: "button", class: "close", title: "close (Esc)", "aria-label": "close" }, "×");
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.append(close, ...content.flat());
  document.getElementById(`${name}-button`).addEventListener("click", () => dialog.showModal());
}

function tableOf(heads, lines) {
  return element("table", {}, element("thead", {}, element("tr", {}, heads.map((text) => element("th", {}, text)))),
    element("tbody", {}, lines.map((line) => element("tr", { class: line.class || "" },
      line.cells.map((text) => element("td", {}, text))))));
}

function aboutContent() {
  const names = about.runs.map((run, place) => (compared ? `${runLetters[place]}: ${run.name}` : run.name));
  const kinds = [...new Set(about.runs.flatMap((run) => Object.keys(run.errors)))];
  const settings = [...new Set(about.runs.flatMap((run) => Object.keys(run.settings)))].sort();
  return [
    element("h2", {}, `${images.size} images of the ${about.split} split, ${rows.length} objects`),
    element("p", {}, "Each object is followed from the proposal that overlaps it most, for its true class: P is the " +
      "probability of that class, IoU the overlap of that class's box with the object. Gain is P × IoU after the " +
      "last glimpse minus after the first. In the pictures, discs number the glimpses, and squares the boxes " +
      "answered after them; the last answer is drawn thick."),
    element("p", {}, "The outcome says what the detections of the image make of the object at IoU 0.5: found, or the " +
      "error that hides it, a wrong box (localisation), a wrong class (classification), or none near it (missed); " +
      "difficult objects do not count."),
    element("h3", {}, "Detections"),
    tableOf(["", ...names], [
      ...["50:95", "50"].map((key) => ({ cells: [`mAP ${key}`, ...about.runs.map((run) => percent(run.map[key]))] })),
      ...kinds.map((kind) => ({ cells: [`errors, ${kind}`, ...about.runs.map((run) =>
        (run.errors[kind] ? `${run.errors[kind].count}, costing ${percent(run.errors[kind].ap_gained)}` : "–"))] })),
    ]),
    element("h3", {}, "Settings"),
    tableOf(["", ...names], settings.map((name) => {
      const cells = about.runs.map((run) => run.settings[name] ?? "–");
      return { cells: [name, ...cells], class: compared && cells[0] !== cells[1] ? "differs" : "" };
    })),
    element("h3", {}, "Data"),
    element("p", {}, "The objects stand in this file as JSON, one record an object and run, in the script element " +
      "\"objects\"; pandas.read_json reads its text. The table (CSV) beside the file has the main numbers."),
  ];
}
