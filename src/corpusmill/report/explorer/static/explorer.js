// Sliders of the page of thresholds: each has a box with the number that counts. What the server
// answers is shown as text; nothing is ever read as HTML.

const STEPS = 20; // of a slider between two edges of the histogram
const PAUSE = 120; // milliseconds after the last movement

const form = document.getElementById("thresholds");
if (form) start(form);

function start(form) {
  let timer;
  let asked = 0;
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => count(form, ++asked, () => asked), PAUSE);
  };
  for (const slider of form.querySelectorAll("input[type=range]")) {
    const box = slider.closest(".move").querySelector("input[type=number]");
    const edges = slider.dataset.edges.split(" ").map(Number);
    slider.min = 0;
    slider.max = (edges.length - 1) * STEPS;
    slider.step = 1;
    const off = slider.dataset.drops === "below" ? 0 : slider.max; // where a rule drops nothing
    const follow = () => {
      const value = box.value === "" ? slider.dataset.now : box.value;
      slider.value = value === "" ? off : placeOf(edges, Number(value));
      slider.setAttribute("aria-valuetext", value === "" ? "off" : value);
    };
    slider.addEventListener("input", () => {
      box.value = valueAt(edges, Number(slider.value));
      slider.setAttribute("aria-valuetext", box.value);
      changed();
    });
    box.addEventListener("input", () => {
      follow();
      changed();
    });
    follow();
    slider.hidden = false;
  }
}

// The threshold at a place of the slider, which moves evenly within each bin.
function valueAt(edges, place) {
  const bin = Math.min(Math.floor(place / STEPS), edges.length - 2);
  const share = place / STEPS - bin;
  return Number((edges[bin] + share * (edges[bin + 1] - edges[bin])).toPrecision(6));
}

function placeOf(edges, value) {
  let bin = edges.findIndex((edge) => edge > value) - 1;
  if (bin === -2) return (edges.length - 1) * STEPS;
  bin = Math.max(bin, 0);
  return Math.round((bin + (value - edges[bin]) / (edges[bin + 1] - edges[bin])) * STEPS);
}

async function count(form, mine, latest) {
  const moved = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") moved.append(name, value);
  const status = document.getElementById("status");
  let answer;
  try {
    const response = await fetch(`${form.dataset.counts}?${moved}`);
    if (!response.ok) throw new Error(String(response.status));
    answer = await response.json();
  } catch {
    if (mine === latest()) status.textContent = "The counts could not be read; is the explorer still running?";
    return;
  }
  if (mine !== latest()) return; // a later movement has asked again
  for (const cell of form.querySelectorAll("[data-of]")) {
    const [side, name] = cell.dataset.of.split(".");
    const value = answer[side][name];
    cell.textContent = value === null ? "–" : value.toLocaleString("en");
  }
  for (const rule of form.querySelectorAll("[data-rule]")) {
    const output = rule.querySelector(".alone");
    const alone = answer.alone[rule.dataset.rule];
    if (output) {
      output.textContent = alone === undefined ? "" : `drops ${alone.toLocaleString("en")} by itself`;
    }
  }
  list(document.getElementById("rescued"), answer.rescued);
  list(document.getElementById("lost"), answer.lost);
  const number = [...moved].length;
  const then = answer.then.documents.toLocaleString("en");
  const now = answer.now.documents.toLocaleString("en");
  status.textContent = number
    ? `${number} moved: ${then} documents instead of ${now}.`
    : "Nothing is moved.";
  history.replaceState(null, "", number ? `?${moved}` : location.pathname);
}

function list(section, rows) {
  const items = rows.map((row) => {
    const link = document.createElement("a");
    link.className = "theirs";
    link.href = `/documents/${encodeURIComponent(row.id)}`;
    link.textContent = row.uri || row.id;
    const item = document.createElement("li");
    item.append(link);
    if (row.reason) {
      const reason = document.createElement("span");
      reason.className = "soft theirs";
      reason.textContent = ` ${row.reason}`;
      item.append(reason);
    }
    return item;
  });
  section.querySelector("ul").replaceChildren(...items);
  section.hidden = rows.length === 0;
}
