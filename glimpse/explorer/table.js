// The table of objects: its columns, their order, and the line above it that sums up what is listed.

// kind: "text"; "share", 0 to 1, with a bar; "signed", -1 to 1, coloured by its sign.
const columns = compared ? comparedColumns() : singleColumns();
const order = { column: columns.find((each) => each.first), descending: true };
let listed = []; // the rows that pass the filters, in order
let drawn = 0; // how many of them stand in the table: the others follow when one scrolls to them
const stretch = 200;

function identity() {
  return [
    { name: "object", kind: "text", value: (row) => row.id, sort: (row) => row.place },
    { name: "class", kind: "text", value: (row) => row.record.class },
  ];
}

function singleColumns() {
  const record = (name) => (row) => row.runs[0][name];
  const steps = (group, name) => Array.from({ length: most }, (_, step) => ({
    group, name: `${step + 1}`, key: `${name}-${step + 1}`, kind: "share",
    value: (row) => row.runs[0][name][step] ?? null,
  }));
  return [
    ...identity(),
    ...steps("IoU after glimpse", "iou"),
    ...steps("P after glimpse", "probability"),
    ...(most > 1
      ? [{ name: "gain", kind: "signed", value: record("gain"), first: true,
        title: "P × IoU after the last glimpse minus after the first" }]
      : [{ name: "P × IoU", key: "reward", kind: "share", value: record("reward"), first: true }]),
    { name: "proposal", kind: "share", value: record("proposal_iou"), title: "IoU of the proposal with the object" },
    { name: "proposal is", key: "missed", kind: "text", value: record("missed") },
    { name: "outcome", kind: "text", value: record("outcome"), title: "at IoU 0.5" },
  ];
}

function comparedColumns() {
  const ofRun = (run) => {
    const group = runLetters[run], key = (name) => `${name}-${group}`;
    return [
      { group, name: "IoU", key: key("iou"), kind: "share", value: (row) => last(row.runs[run].iou) },
      { group, name: "P", key: key("probability"), kind: "share", value: (row) => last(row.runs[run].probability) },
      ...(about.runs[run].num_glimpses > 1
        ? [{ group, name: "gain", key: key("gain"), kind: "signed", value: (row) => row.runs[run].gain }] : []),
      { group, name: "outcome", key: key("outcome"), kind: "text", value: (row) => row.runs[run].outcome },
    ];
  };
  return [
    ...identity(),
    { name: "A − B", key: "difference", kind: "signed", value: (row) => row.record.difference, first: true,
      title: "difference of P × IoU after the last glimpse" },
    ...ofRun(0), ...ofRun(1),
    { name: "proposal is", key: "missed", kind: "text", value: (row) => row.record.missed },
  ];
}

const keyOf = (column) => column.key || column.name;

// Two lines of headings: groups, and the columns in them, each a button that sorts.
function buildHead(head, sorted) {
  const groups = element("tr"), names = element("tr");
  columns.forEach((column, place) => {
    if (!place || column.group !== columns[place - 1].group || !column.group) {
      const span = column.group ? columns.filter((each) => each.group === column.group).length : 1;
      groups.append(element("th", { colSpan: span, scope: "colgroup", class: column.group ? "group" : "" },
        column.group || ""));
    }
    const button = element("button", { type: "button", title: column.title || "sort" }, column.name);
    button.addEventListener("click", () => {
      order.descending = order.column === column ? !order.descending : column.kind !== "text";
      order.column = column;
      sorted();
    });
    names.append(element("th", { scope: "col", "data-column": keyOf(column), class: column.kind }, button));
  });
  if (columns.some((column) => column.group)) head.append(groups);
  head.append(names);
}

// What is not known stands at the end, whichever way one sorts; equals stay in the order of the split.
function compareRows(one, other) {
  const value = order.column.sort || order.column.value, [first, second] = [value(one), value(other)];
  if (first === null || second === null) return (first === null) - (second === null) || one.place - other.place;
  const sign = order.descending ? -1 : 1;
  return (first < second ? -sign : first > second ? sign : 0) || one.place - other.place;
}

function list(body) {
  listed = rows.filter(passes).sort(compareRows);
  body.replaceChildren();
  drawn = 0;
  drawUpTo(body, stretch - 1);
  for (const head of document.querySelectorAll("th[data-column]")) {
    const sorted = head.dataset.column === keyOf(order.column);
    head.ariaSort = sorted ? (order.descending ? "descending" : "ascending") : null;
  }
}

// Puts rows into the table until it holds that at `place`, in whole stretches.
function drawUpTo(body, place) {
  while (drawn < listed.length && drawn <= place) {
    body.append(...listed.slice(drawn, drawn + stretch).map(lineOf));
    drawn += stretch;
  }
}

function lineOf(row) {
  const line = element("tr", { "data-id": row.id });
  for (const column of columns) {
    const value = column.value(row), cell = element("td", { class: column.kind });
    cell.textContent = column.kind === "text" ? value : column.kind === "share" ? fixed(value) : signed(value);
    if (column.kind !== "text" && value !== null) cell.style.setProperty("--share", Math.abs(value));
    if (column.kind === "signed" && value !== null) cell.dataset.sign = value < 0 ? "loss" : "gain";
    if (keyOf(column).startsWith("outcome")) cell.dataset.outcome = value;
    line.append(cell);
  }
  return line;
}

// Means over what is listed, of the numbers that are known.
function summaryText() {
  const mean = (value) => {
    const known = listed.map(value).filter((each) => each !== null);
    return known.length ? known.reduce((total, each) => total + each, 0) / known.length : null;
  };
  const parts = [`${listed.length} of ${rows.length} objects`];
  about.runs.forEach((run, place) => {
    const change = (name) => {
      const first = mean((row) => row.runs[place][name][0] ?? null), end = mean((row) => last(row.runs[place][name]));
      return run.num_glimpses > 1 ? `${fixed(first)} → ${fixed(end)}` : fixed(end);
    };
    const counted = listed.filter((row) => !row.record.difficult);
    const found = counted.filter((row) => row.runs[place].outcome === "found").length;
    parts.push(`${compared ? `${runLetters[place]}: ` : ""}IoU ${change("iou")}, P ${change("probability")}, ` +
      `found ${counted.length ? percent(found / counted.length) : "–"}`);
  });
  if (compared) parts.push(`A − B ${signed(mean((row) => row.record.difference))}`);
  else if (most > 1) parts.push(`gain ${signed(mean((row) => row.record.gain))}`);
  return parts.join(" · ");
}
