// The mean size of the weights between every source and every layer of a dense block.
const [LEFT, TOP, CELL] = [220, 40, 62];
const COUNT = 4;
const VIEWS = ["after training", "before training", "after / before"];
const source_name = (s) => (s ? `layer ${s}` : "the block's input");

function value({ block, view }, source, layer) {
  const [before, after] = [data.before[block][source][layer], data.after[block][source][layer]];
  return [after, before, after / before][view];
}
const shown = (at, x) => digits(x, at.view === 2 ? 3 : 4);

idea = {
  height: 336,
  alt: "A heat map of one dense block: rows are the sources, from the block's input to layer 3, " +
    "columns the four layers that read. A square is the mean absolute weight between them after " +
    "training; layers see only sources before them.",
  start: { block: 0, view: 0, source: 0, layer: 3 },
  controls: [
    { name: "block", label: "Block", most: () => 2, words: (k) => `${k + 1} of 3` },
    { name: "view", label: "Show", most: () => 2, words: (k) => VIEWS[k] },
  ],
  fit: (at) => ({ ...at, source: Math.min(at.source, at.layer) }),
  hit(at) {
    const found = square(at, COUNT, COUNT, LEFT, TOP, CELL);
    return found && found.row <= found.column ? { source: found.row, layer: found.column } : null;
  },
  move: (at, right, down) => ({
    layer: clamp(at.layer + right, 0, COUNT - 1),
    source: clamp(at.source + down, 0, COUNT - 1),
  }),
  draw(at) {
    const pairs = range(COUNT).flatMap((l) => range(l + 1).map((s) => [s, l]));
    const found = pairs.map(([s, l]) => value(at, s, l));
    const [low, high] = [Math.min(...found), Math.max(...found)];
    let out = words(LEFT + 2 * CELL, 16, "layer that reads", `class="middle bold"`);
    out += words(LEFT - 12, 16, "source", `class="end bold"`);
    for (const k of range(COUNT)) {
      out += words(LEFT + CELL * (k + 0.5), 33, k + 1, `class="middle"`);
      out += words(LEFT - 12, TOP + CELL * (k + 0.5) + 4, source_name(k), `class="end"`);
    }
    pairs.forEach(([s, l], i) => {
      // Between 0 and its largest for a size; for a ratio, orange above 1 and blue below.
      const reach = Math.max(high - 1, 1 - low, 0.01);
      const part = at.view === 2 ? (found[i] - 1) / reach : found[i] / high;
      const [x, y] = [LEFT + CELL * l, TOP + CELL * s];
      out += box(x, y, CELL, CELL, `fill="${signed(part)}" stroke="var(--line)"`);
      const ink = part < -0.7 ? "#fff" : "#111";
      out += words(x + CELL / 2, y + CELL / 2 + 4, shown(at, found[i]), `class="middle" style="fill:${ink}"`);
    });
    for (const [wide, colour] of [[6, "#fff"], [3, "#111"]]) {
      const look = `fill="none" stroke="${colour}" stroke-width="${wide}"`;
      out += box(LEFT + CELL * at.layer + 3, TOP + CELL * at.source + 3, CELL - 6, CELL - 6, look);
    }
    const words_of = at.view === 2
      ? "orange: larger than at the random start, blue: smaller"
      : "the stronger the orange, the larger the mean size of the weights";
    return out + words(LEFT, TOP + 4 * CELL + 22, words_of, `class="soft"`);
  },
  say(at) {
    const { block, source, layer } = at;
    const sources = range(layer + 1).map((s) => value(at, s, layer));
    const mean = add(sources) / sources.length;
    const what = at.view === 2 ? "mean size after training, divided by that before," : `mean size of the weights ${VIEWS[at.view]}`;
    return `Block ${block + 1}, from ${source_name(source)} to layer ${layer + 1}: ${what} is ` +
      `<b id="value">${shown(at, value(at, source, layer))}</b>; over all sources of layer ${layer + 1} it is ` +
      `<b id="mean">${shown(at, mean)}</b>. A large weight is a hint, not a proof: a source of small ` +
      `numbers needs large weights to be heard.`;
  },
};
