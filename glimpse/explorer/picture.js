// Drawings in SVG: the image with its boxes, crops, pooled features, and curves over the glimpses.
// Boxes are [x1, y1, x2, y2] in pixels of the image, which are the units of these drawings.

const svgNames = "http://www.w3.org/2000/svg";
// Okabe and Ito (2008): they differ for colour-blind eyes too. Steps also carry numbers.
const stepColours = ["#56B4E9", "#F0E442", "#009E73", "#E69F00", "#CC79A7", "#0072B2"];
const answerColour = "#D55E00", detectionColour = "#CC79A7";
// Cividis, at even distances: it rises evenly in lightness, and reads alike to colour-blind eyes.
const cividis = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115], [138, 134, 120],
  [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56]];

const layers = [
  { name: "truth", label: "ground truth", key: "t", on: true },
  { name: "proposal", label: "proposal", key: "p", on: true },
  { name: "glimpses", label: "glimpses", key: "g", on: true },
  { name: "answers", label: "answers", key: "a", on: true },
  { name: "others", label: "other objects", key: "o", on: false },
  { name: "detections", label: "detections", key: "d", on: false },
  { name: "closer", label: "closer", key: "z", on: false },
];
const isOn = (name) => layers.find((layer) => layer.name === name).on;

const stepColour = (step) => stepColours[step % stepColours.length];

// Black on light colours, white on dark ones, by the luma of ITU-R BT.709.
function contrast(colour) {
  const parts = [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] < 128 ? "white" : "black";
}

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(svgNames, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.flat(Infinity));
  return made;
}

// An image, or what a box of it covers.
function view(image, [x1, y1, x2, y2], label, ...children) {
  const small = Math.max(image.width, image.height) <= 256;
  return svg("svg", { viewBox: `${x1} ${y1} ${Math.max(x2 - x1, 0.001)} ${Math.max(y2 - y1, 0.001)}`, role: "img",
    "aria-label": label },
    svg("image", { href: image.picture, width: image.width, height: image.height, preserveAspectRatio: "none",
      class: small ? "pixels" : "" }), children);
}

// A box with an edge in the other lightness beneath, to be seen on any picture.
function outline(box, colour, width, dashes = "none") {
  const [x, y] = box, size = { x, y, width: Math.max(box[2] - x, 0), height: Math.max(box[3] - y, 0) };
  const style = { ...size, fill: "none", "vector-effect": "non-scaling-stroke" };
  return [
    svg("rect", { ...style, stroke: contrast(colour) === "white" ? "white" : "black", "stroke-width": width + 1.6,
      "stroke-opacity": 0.7 }),
    svg("rect", { ...style, stroke: colour, "stroke-width": width, "stroke-dasharray": dashes }),
  ];
}

// The number of a step, in a disc on the upper side of a glimpse or in a square on the lower side of an answer; further
// right for later steps, since boxes may lie on each other.
function badge(frame, box, step, count, colour, square) {
  const [left, top, right, bottom] = frame, size = 0.024 * (right - left);
  const within = (value, low, high) => Math.min(Math.max(value, low + size), high - size);
  const x = within(box[0] + (box[2] - box[0]) * (count > 1 ? step / (count - 1) : 0), left, right);
  const y = within(square ? box[3] : box[1], top, bottom);
  const edge = { fill: colour, stroke: contrast(colour), "stroke-width": size / 8 };
  return [
    square
      ? svg("rect", { x: x - size * 0.9, y: y - size * 0.9, width: size * 1.8, height: size * 1.8, ...edge })
      : svg("circle", { cx: x, cy: y, r: size, ...edge }),
    svg("text", { x, y, "font-size": size * 1.5, fill: contrast(colour), class: "number" }, `${step + 1}`),
  ];
}

// The image of an object with what one run looked at and answered after `shown` glimpses.
function picture(row, run, shown, closer) {
  const record = row.runs[run], image = row.image, count = record.glimpses.length, parts = [];
  const frame = closer ? closeFrame(row) : [0, 0, image.width, image.height];
  if (isOn("others")) {
    for (const other of image.objects.filter((_, place) => place !== record.object - 1)) {
      parts.push(outline(other.box, "#FFFFFF", 1, "2 3"), caption(frame, other.box, other.class, "#FFFFFF"));
    }
  }
  if (isOn("detections")) {
    for (const found of [...image.detections[run]].reverse()) {
      parts.push(outline(found.box, detectionColour, 1.5),
        caption(frame, found.box, `${found.class} ${found.score.toFixed(2)}`, detectionColour));
    }
  }
  const steps = [...Array(Math.min(shown, count)).keys()];
  const looked = steps.filter((step) => isOn(step ? "glimpses" : "proposal"));
  const answered = isOn("answers") ? steps : [];
  for (const step of looked) parts.push(outline(record.glimpses[step], stepColour(step), 1.6));
  for (const step of answered) {
    const final = step === steps.length - 1;
    parts.push(outline(record.boxes[step], final ? answerColour : stepColour(step), final ? 2.6 : 1.4,
      final ? "none" : "6 2"));
  }
  if (isOn("truth")) parts.push(outline(record.box, "#FFFFFF", 1.6, "5 4"));
  // Numbers lie above all lines.
  for (const step of looked) parts.push(badge(frame, record.glimpses[step], step, count, stepColour(step), false));
  for (const step of answered) {
    const colour = step === steps.length - 1 ? answerColour : stepColour(step);
    parts.push(badge(frame, record.boxes[step], step, count, colour, true));
  }
  return view(image, frame, `${row.id} with boxes after glimpse ${Math.min(shown, count)}`, parts);
}

// A square around all that was looked at and answered, the same for all steps and runs.
function closeFrame(row) {
  const boxes = [row.record.box, ...row.runs.flatMap((record) => [...record.glimpses, ...record.boxes])];
  const low = [0, 1].map((axis) => Math.min(...boxes.map((box) => box[axis])));
  const high = [2, 3].map((axis) => Math.max(...boxes.map((box) => box[axis])));
  const half = 0.55 * Math.max(high[0] - low[0], high[1] - low[1]) + 1;
  const [x, y] = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
  return [x - half, y - half, x + half, y + half];
}

function caption(frame, box, text, colour) {
  const size = 0.03 * (frame[2] - frame[0]);
  const y = box[1] - 0.4 * size < frame[1] + size ? box[3] + size : box[1] - 0.4 * size;
  return svg("text", { x: Math.max(box[0], frame[0]), y, "font-size": size, fill: colour, class: "caption",
    "stroke-width": size / 4 }, text);
}

// The pooled features of one glimpse, on a scale that all glimpses of the object share.
function heat(features, highest, label) {
  const height = features.length, width = features[0].length;
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label,
    "shape-rendering": "crispEdges" },
    features.flatMap((line, y) => line.map((value, x) =>
      svg("rect", { x, y, width: 1, height: 1, fill: cividisAt(value / (highest || 1)) },
        svg("title", {}, value.toFixed(2))))));
}

function cividisAt(share) {
  const place = Math.min(Math.max(share, 0), 1) * (cividis.length - 1), low = Math.min(Math.floor(place), 8);
  const mixed = cividis[low].map((part, axis) => Math.round(part + (cividis[low + 1][axis] - part) * (place - low)));
  return `rgb(${mixed.join(",")})`;
}

// IoU, P and their product after each glimpse.
function curves(record, shown) {
  const count = record.iou.length, width = 260, height = 96, left = 24, right = 62, top = 8, bottom = 16;
  const x = (step) => left + (width - left - right) * (count > 1 ? step / (count - 1) : 0.5);
  const y = (value) => height - bottom - (height - top - bottom) * value;
  const parts = [0, 0.5, 1].flatMap((value) => [
    svg("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "grid" }),
    svg("text", { x: left - 4, y: y(value), class: "tick end" }, `${value}`)]);
  for (let step = 0; step < count; step++) {
    parts.push(svg("text", { x: x(step), y: height - 4, class: "tick middle" }, `${step + 1}`));
  }
  const lines = [
    { name: "IoU", values: record.iou, dashes: "none" },
    { name: "P", values: record.probability, dashes: "5 3" },
    { name: "P × IoU", values: record.iou.map((value, step) => value * record.probability[step]), dashes: "1.5 2.5" },
  ];
  // Names stand at the ends of their lines, apart by at least a line of text.
  const names = lines.map((line) => ({ ...line, y: y(last(line.values)) })).sort((one, other) => one.y - other.y);
  names.forEach((name, place) => {
    if (place) name.y = Math.max(name.y, names[place - 1].y + 11);
  });
  const over = Math.max(0, last(names).y - (height - 4));
  for (const { values, dashes } of lines) {
    parts.push(svg("polyline", { points: values.map((value, step) => `${x(step)},${y(value)}`).join(" "),
      "stroke-dasharray": dashes, class: "curve" }));
    values.forEach((value, step) => parts.push(svg("circle", { cx: x(step), cy: y(value), r: step < shown ? 3 : 1.5,
      class: "point" })));
  }
  for (const each of names) {
    parts.push(svg("text", { x: x(count - 1) + 8, y: each.y - over, class: "tick" }, each.name));
  }
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": "IoU, P and P × IoU after each glimpse" }, parts);
}
