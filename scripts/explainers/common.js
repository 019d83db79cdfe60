const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const clamp = (x, low, high) => Math.max(low, Math.min(high, x));
const range = (n) => Array.from({ length: n }, (_, i) => i);
const add = (numbers) => numbers.reduce((sum, x) => sum + x, 0);

// A number with so many digits and a real minus; with commas between thousands.
function digits(x, count) {
  const text = x.toFixed(count);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "\u2212");
}
const commas = (x) => String(x).replace(/\B(?=(\d{3})+$)/g, ",");

// Blue below zero, white, orange above; size 1 is full colour. Grey from black (0) to white (1).
function signed(x) {
  const part = Math.round(12 * clamp(x, -1, 1)) / 12;
  const end = part < 0 ? [0, 114, 178] : [213, 94, 0];
  return hex(end.map((channel) => 255 + (channel - 255) * Math.abs(part)));
}
const grey = (x) => hex([1, 1, 1].map(() => 255 * (Math.round(20 * clamp(x, 0, 1)) / 20)));
const hex = (rgb) => "#" + rgb.map((x) => Math.round(x).toString(16).padStart(2, "0")).join("");

// What an SVG is made of. Sides are pixels of a picture that is 720 wide.
const box = (x, y, wide, high, look) =>
  `<rect x="${x}" y="${y}" width="${wide}" height="${high}" ${look}/>`;
const line = (x1, y1, x2, y2, look) => `<path d="M${x1} ${y1}L${x2} ${y2}" ${look}/>`;
const words = (x, y, text, look = "") => `<text x="${x}" y="${y}" ${look}>${text}</text>`;

// Rows of numbers as squares, drawn as lines one square thick, a path a colour; a frame around.
function pixels(rows, x, y, side, colour) {
  const shapes = {};
  rows.forEach((row, i) => {
    for (let j = 0, k = 1; j < row.length; j = k, k++) {
      const fill = colour(row[j]);
      while (k < row.length && colour(row[k]) === fill) k++;
      shapes[fill] = (shapes[fill] || "") + `M${j} ${i}h${k - j}`;
    }
  });
  const paths = Object.keys(shapes).map((fill) => `<path stroke="${fill}" d="${shapes[fill]}"/>`);
  const place = `transform="translate(${x} ${y + side / 2}) scale(${side})" shape-rendering="crispEdges"`;
  const [wide, high] = [rows[0].length * side, rows.length * side];
  return `<g ${place}>${paths.join("")}</g>` + box(x, y, wide, high, `class="frame"`);
}

// Which square of such a grid lies at a place: {row, column}, or null.
function square(at, rows, columns, x, y, side) {
  const [row, column] = [Math.floor((at.y - y) / side), Math.floor((at.x - x) / side)];
  return row >= 0 && column >= 0 && row < rows && column < columns ? { row, column } : null;
}

const STYLE = `:root{color-scheme:light dark;--paper:light-dark(#fff,#1b1b1b);
--ink:light-dark(#222,#eee);--soft:light-dark(#595959,#b8b8b8);--line:light-dark(#9a9a9a,#7d7d7d);
--pale:light-dark(#e4e9ee,#3a4046);--one:light-dark(#0072b2,#56b4e9);
--two:light-dark(#d55e00,#f5914a);--three:light-dark(#008f68,#3fcf9f);
--five:light-dark(#b87a00,#e6ad3c);--six:light-dark(#56b4e9,#0f6da3)}
text{font:12px system-ui,sans-serif;fill:var(--ink)}.middle{text-anchor:middle}
.end{text-anchor:end}.soft{fill:var(--soft)}.bold{font-weight:600}
.frame{fill:none;stroke:var(--line)}.mark{fill:none;stroke:var(--two);stroke-width:2.5}
.box{fill:var(--paper);stroke:var(--line)}`;

let idea, state, drawn, height;

function draw() {
  const inside = idea.draw(state) + (idea.more || "");
  drawn = `<svg viewBox="0 0 720 ${height}" role="img"><title>${idea.alt}</title>` +
    `<style>${STYLE}</style>${box(0, 0, 720, height, `fill="var(--paper)"`)}${inside}</svg>`;
  $("picture").innerHTML = drawn;
  $("said").innerHTML = idea.say(state);
  for (const control of idea.controls) {
    const input = $(control.name);
    if (control.most) input.max = control.most(state);
    input.value = state[control.name];
    $(control.name + "-said").textContent = control.words(state[control.name], state);
  }
}

function change(part) {
  if (!part) return;
  let next = { ...state, ...part };
  if (idea.fit) next = idea.fit(next);
  if (JSON.stringify(next) === JSON.stringify(state)) return;
  state = next;
  draw();
}

// The explainer that the lines above this call describe begins: controls, pointer, arrow keys.
function begin() {
  state = { ...idea.start };
  height = idea.height;
  $("controls").innerHTML = idea.controls
    .map(({ name, label, least, most }) => `<label for="${name}">${label}` +
      `<input type="range" id="${name}" min="${least || 0}" max="${most(state)}" step="1">` +
      `<output id="${name}-said" for="${name}"></output></label>`)
    .join("");
  $("controls").hidden = !idea.controls.length;
  for (const { name } of idea.controls) {
    $(name).addEventListener("input", (event) => change({ [name]: Number(event.target.value) }));
  }
  const point = (event) => {
    const seen = $("picture").firstElementChild.getBoundingClientRect();
    const scale = 720 / seen.width;
    change(idea.hit({ x: (event.clientX - seen.left) * scale, y: (event.clientY - seen.top) * scale }, state));
  };
  $("picture").addEventListener("pointermove", point);
  $("picture").addEventListener("pointerdown", point);
  $("picture").addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    change(idea.move(state, ...step));
  });
  draw();
}
