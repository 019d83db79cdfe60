// The norm of the gradient of 32 layers, plain and residual, before and after training.
const [LEFT, WIDE, TOP, HIGH] = [64, 560, 14, 250];
// The colours of figures.LOOK, darker or lighter as words need it.
const KINDS = {
  plain32: ["light-dark(#737373,#a6a6a6)", "plain"],
  residual32: ["light-dark(#a8558a,#e09fc4)", "residual"],
};
const WHEN = ["start", "end"];
const all = Object.values(data.norms).flatMap((one) => [...one.start.flat(), ...one.end.flat()]);
const lowest = Math.floor(Math.log10(Math.min(...all)));
const highest = Math.ceil(Math.log10(Math.max(...all)));
const x = (layer) => LEFT + (WIDE * (layer + 0.5)) / data.layers.length;
const y = (norm) => TOP + (HIGH * (highest - Math.log10(norm))) / (highest - lowest);

// The seeds' norms of one layer, and their geometric mean, which is the middle on a log scale.
const seeds = (kind, at, layer) => data.norms[kind][WHEN[at.trained]].map((run) => run[layer]);
const mean = (numbers) => Math.exp(add(numbers.map(Math.log)) / numbers.length);
const short = (norm) => digits(norm, Math.max(0, 2 - Math.floor(Math.log10(norm))));

idea = {
  height: 316,
  alt: "Gradient norm of each of 32 layers on a logarithmic scale before training. From the last " +
    "layer to the first the norm of the plain network grows, that of the residual one stays nearly level.",
  start: { layer: 0, trained: 0 },
  controls: [
    { name: "trained", label: "Training", most: () => 1, words: (k) => ["before", "after"][k] },
  ],
  hit({ x: across }) {
    const layer = Math.floor(((across - LEFT) / WIDE) * data.layers.length);
    return layer >= 0 && layer < data.layers.length ? { layer } : null;
  },
  move: (at, right, down) => ({
    layer: clamp(at.layer + right, 0, data.layers.length - 1),
    trained: clamp(at.trained + down, 0, 1),
  }),
  draw(at) {
    let out = "";
    for (let power = lowest; power <= highest; power++) {
      const high = y(10 ** power).toFixed(1);
      out += line(LEFT, high, LEFT + WIDE, high, `stroke="var(--pale)"`);
      out += words(LEFT - 8, Number(high) + 4, 10 ** power, `class="end soft"`);
    }
    out += words(14, TOP + HIGH / 2, "norm of the gradient", `class="middle soft" transform="rotate(-90 14 ${TOP + HIGH / 2})"`);
    const middle = x(at.layer).toFixed(1);
    out += line(middle, TOP, middle, TOP + HIGH, `stroke="var(--ink)" stroke-dasharray="3 3"`);
    const ends = [];
    for (const [kind, [colour, name]] of Object.entries(KINDS)) {
      const means = data.layers.map((_, layer) => mean(seeds(kind, at, layer)));
      const points = means.map((norm, layer) => `${x(layer).toFixed(1)} ${y(norm).toFixed(1)}`);
      const dashes = kind === "residual32" ? `stroke-dasharray="7 3"` : "";
      out += `<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="2" ${dashes}/>`;
      for (const norm of seeds(kind, at, at.layer)) {
        out += `<circle cx="${middle}" cy="${y(norm).toFixed(1)}" r="3.5" fill="${colour}"/>`;
      }
      ends.push({ name, colour, high: y(means[means.length - 1]) });
    }
    ends.sort((a, b) => a.high - b.high);
    ends[1].high = Math.max(ends[1].high, ends[0].high + 16);
    for (const { name, colour, high } of ends) {
      out += words(LEFT + WIDE + 6, (high + 4).toFixed(1), name, `class="bold" style="fill:${colour}"`);
    }
    for (const layer of [0, 7, 15, 23, 31]) {
      out += words(x(layer).toFixed(1), TOP + HIGH + 18, layer + 1, `class="middle soft"`);
    }
    out += words(LEFT, TOP + HIGH + 38, "layer, from the input (1) to the output (32)", `class="soft"`);
    return out;
  },
  say(at) {
    const [plain, shortcut] = Object.keys(KINDS).map((kind) => mean(seeds(kind, at, at.layer)));
    return `Layer ${at.layer + 1}, ${data.layers[at.layer]}, ${["before", "after"][at.trained]} ` +
      `training: plain <b id="plain">${short(plain)}</b>, residual ` +
      `<b id="residual">${short(shortcut)}</b>; plain has <b id="ratio">${digits(plain / shortcut, 2)}</b> ` +
      `times the residual's. A line is the geometric mean of three seeds, a dot is one of them.`;
  },
};
