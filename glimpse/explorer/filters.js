// Which objects are listed: a choice or a range for each of a few quantities, and a text to be found in the id.

const everything = "";

const filters = [
  { name: "image", label: "image", kind: "text", value: (row) => row.id },
  { name: "class", label: "class", kind: "choice", value: (row) => row.record.class },
  { name: "missed", label: "proposal is", kind: "choice", value: (row) => row.record.missed },
  ...about.runs.map((_, run) => ({
    name: compared ? `outcome-${runLetters[run]}` : "outcome",
    label: compared ? `outcome ${runLetters[run]}` : "outcome",
    kind: "choice",
    value: (row) => row.runs[run].outcome,
  })),
  ...about.runs.flatMap((each, run) => (each.num_glimpses === 1 ? [] : [{
    name: compared ? `gain-${runLetters[run]}` : "gain",
    label: compared ? `gain ${runLetters[run]}` : "gain",
    kind: "range",
    value: (row) => row.runs[run].gain,
  }])),
  ...(compared ? [{ name: "difference", label: "A − B", kind: "range", value: (row) => row.record.difference }] : []),
];

// Builds the form; `changed` is called after every change.
function buildFilters(form, changed) {
  for (const filter of filters) {
    const inputs = { choice: choiceInputs, range: rangeInputs, text: textInputs }[filter.kind](filter);
    form.append(element("label", { "data-filter": filter.name }, element("span", {}, filter.label), inputs));
  }
  const reset = element("button", { type: "reset" }, "Reset");
  form.append(reset);
  form.addEventListener("input", changed);
  form.addEventListener("reset", () => setTimeout(changed)); // the fields are emptied after this event
  form.addEventListener("submit", (event) => event.preventDefault());
}

function choiceInputs(filter) {
  const counts = new Map();
  for (const row of rows) counts.set(filter.value(row), (counts.get(filter.value(row)) || 0) + 1);
  const names = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one));
  filter.input = element("select", { name: filter.name },
    element("option", { value: everything }, "all"),
    names.map((name) => element("option", { value: `=${name}` }, `${name} (${counts.get(name)})`)));
  return [filter.input];
}

function rangeInputs(filter) {
  const bound = (what) =>
    element("input", { type: "number", step: "0.05", min: "-1", max: "1", placeholder: what,
      "aria-label": `${filter.label} ${what}`, name: `${filter.name}-${what}` });
  filter.low = bound("from");
  filter.high = bound("to");
  return [filter.low, filter.high];
}

function textInputs(filter) {
  filter.input = element("input", { type: "search", name: filter.name, placeholder: "any", size: "10" });
  return [filter.input];
}

function passes(row) {
  return filters.every((filter) => {
    const value = filter.value(row);
    if (filter.kind === "choice") return filter.input.value === everything || filter.input.value === `=${value}`;
    if (filter.kind === "text") return value.toLowerCase().includes(filter.input.value.trim().toLowerCase());
    const low = filter.low.valueAsNumber, high = filter.high.valueAsNumber; // NaN where nothing is given
    if (Number.isNaN(low) && Number.isNaN(high)) return true;
    return value !== null && !(value < low) && !(value > high);
  });
}
