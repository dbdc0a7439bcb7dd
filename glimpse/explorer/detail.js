// The object chosen: for each run its picture, what became of it, and a card for each glimpse.

function showDetail(row, shown) {
  document.querySelector("#heading h2").replaceChildren(
    `${row.record.image}, object ${row.record.object} of ${row.image.objects.length}: `,
    element("b", {}, row.record.class));
  document.getElementById("link").href = fragmentOf(row);
  document.getElementById("views").replaceChildren(...about.runs.map((_, run) => runView(row, run, shown)));
}

function runView(row, run, shown) {
  const record = row.runs[run], count = record.glimpses.length;
  // One run has room for both pictures in a wide window; else the style sheet shows the one that is asked for.
  const pictures = (compared ? [isOn("closer")] : [false, true]).map((closer) => element("div",
    { class: closer === isOn("closer") ? "picture" : "picture spare" }, picture(row, run, shown, closer)));
  const made = element("article", { "data-run": `${run}` },
    compared ? element("h3", {}, `${runLetters[run]}: ${brokenName(about.runs[run])}`) : [], outcomeLine(record),
    element("div", { class: "pictures" }, pictures));
  if (!count) {
    made.append(element("p", {}, "No proposal overlaps this object, so there is no sequence to show."));
    return made;
  }
  const highest = Math.max(...record.features.flat(2));
  made.append(element("div", { class: "cards" },
    [...Array(count).keys()].map((step) => card(row, record, step, step < shown, highest)),
    element("div", { class: "curves" }, curves(record, Math.min(shown, count)))));
  return made;
}

function outcomeLine(record) {
  const found = record.score === null ? "" : `, as ${record.detected} with score ${fixed(record.score)}`;
  const parts = [element("span", { class: "mark", "data-outcome": record.outcome }, record.outcome), found];
  if (record.missed !== null && record.proposal_iou !== null) {
    parts.push(`; proposal ${record.missed}, IoU ${fixed(record.proposal_iou)}`);
  }
  if (record.gain !== null) {
    parts.push("; gain ", element("span", { class: record.gain < 0 ? "loss" : "gain" }, signed(record.gain)));
  } else if (record.reward !== null) parts.push(`; P × IoU ${fixed(record.reward)}`);
  return element("p", { class: "outcome" }, parts);
}

// One glimpse: its crop, what was pooled from it, and the answer after it.
function card(row, record, step, taken, highest) {
  const box = record.glimpses[step], [width, height] = [box[2] - box[0], box[3] - box[1]];
  const number = element("span", { class: "step" }, `${step + 1}`);
  number.style.background = stepColour(step);
  number.style.color = contrast(stepColour(step));
  const crop = view(row.image, box, `crop of glimpse ${step + 1}`);
  const pooled = heat(record.features[step], highest, `pooled features of glimpse ${step + 1}`);
  // Both in the shape of the glimpse, as large as a square of fixed size lets them be.
  const longest = Math.max(width, height, 0.001);
  for (const drawing of [crop, pooled]) {
    drawing.style.width = `${Math.max(100 * width / longest, 2)}%`;
    drawing.style.height = `${Math.max(100 * height / longest, 2)}%`;
  }
  const bars = record.probabilities.map((each) => bar(each.class, each.after[step], each.class === record.class));
  return element("section", { class: taken ? "card" : "card later", "data-step": `${step + 1}` },
    element("h4", {}, number, step ? `glimpse ${step + 1}` : "proposal", element("small", {},
      ` ${Math.round(width)} × ${Math.round(height)}`)),
    element("div", { class: "tiles" },
      element("div", { class: "tile", title: "what it saw" }, crop),
      element("div", { class: "tile", title: "pooled features, norm over channels" }, pooled)),
    element("p", { class: "numbers" }, `IoU ${fixed(record.iou[step])}, P ${fixed(record.probability[step])}`),
    element("div", { class: "bars" }, bars));
}

function bar(name, value, isTrue) {
  const made = element("div", { class: isTrue ? "bar true" : "bar", title: name },
    element("span", {}, name), element("i"), element("span", {}, fixed(value)));
  made.style.setProperty("--share", value);
  return made;
}
