// The data of the page, made by glimpse/explorer/objects.py: records become rows, one an object, with a record a run.

function block(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

const about = block("about");
const images = new Map(block("images").map((image) => [image.id, image]));
const most = Math.max(...about.runs.map((run) => run.num_glimpses)); // glimpses of any run
const compared = about.runs.length > 1;
const runLetters = ["A", "B"]; // short names of the runs, where there are two

const rows = rowsOf(block("objects"));
const rowOf = new Map(rows.map((row) => [row.id, row]));

// The records of the first run come first, then those of the second in the same order.
function rowsOf(records) {
  const count = records.length / about.runs.length;
  return records.slice(0, count).map((record, place) => ({
    place,
    id: record.id,
    record,
    image: images.get(record.image),
    runs: about.runs.map((_, run) => records[place + run * count]),
  }));
}

// The fragment of an object's address, "#test-00185/2"; the id of an image may hold any characters.
function fragmentOf(row) {
  return `#${encodeURIComponent(row.record.image)}/${row.record.object}`;
}

function rowOfFragment(fragment) {
  try {
    return rowOf.get(decodeURIComponent(fragment.slice(1)));
  } catch {
    return undefined; // no address of ours
  }
}

// The name of a run with places to break a line, after its commas.
const brokenName = (run) => run.name.replaceAll(",", ",\u200b");

const last = (values) => (values.length ? values[values.length - 1] : null);

// Numbers as texts. A minus is as wide as a plus; what is not known is a dash.
const fixed = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));
const signed = (value) =>
  value === null || value === undefined ? "–" : (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
const percent = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`);

// A new element. Texts become text nodes, so that no name can be taken for HTML.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.flat(Infinity));
  return made;
}
