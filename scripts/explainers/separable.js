// A depthwise and a pointwise convolution, and the full one that gives the same numbers.
const [SIDE, MAPS, OUTS] = [14, data.maps.length, data.pointwise[0].length];
const [CELL, SMALL, TOP] = [4.4, 2.9, 34];
const X = { input: 4, filtered: 250, output: 560 };
const above = { input: (m) => TOP + 70 * m, filtered: (m) => TOP + 70 * m, output: (n) => TOP + 46.5 * n };

const pixel = (m, row, column) => {
  const inside = row >= 0 && column >= 0 && row < SIDE && column < SIDE;
  return inside ? data.maps[m][SIDE * row + column] : 0;
};
const under = (kernel, m, { row, column }) =>
  add(kernel.map((weight, k) => weight * pixel(m, row - 1 + Math.floor(k / 3), column - 1 + (k % 3))));
const filtered = (m, at) => under(data.depthwise[m], m, at);
const combined = (n, at) => add(range(MAPS).map((m) => data.pointwise[m][n] * filtered(m, at)));
// The kernel of the full convolution from map m to output n: the depthwise one, scaled.
const scaled = (m, n) => data.depthwise[m].map((weight) => weight * data.pointwise[m][n]);
const full = (n, at) => add(range(MAPS).map((m) => under(scaled(m, n), m, at)));

const every = (f) => range(SIDE).map((row) => range(SIDE).map((column) => f({ row, column })));
const maps = {
  input: range(MAPS).map((m) => every(({ row, column }) => pixel(m, row, column))),
  filtered: range(MAPS).map((m) => every((at) => filtered(m, at))),
  output: range(OUTS).map((n) => every((at) => combined(n, at))),
};
const limit = {};
for (const kind in maps) limit[kind] = Math.max(...maps[kind].flat(2).map(Math.abs));

idea = {
  height: 336,
  alt: "Left four maps of 14 by 14 pixels, in the middle the same four filtered by a 3 by 3 kernel " +
    "each, right six outputs. The marked output pixel is joined to one pixel of each filtered map, " +
    "and each of these to a window of its own map.",
  start: { step: 1, channel: 0, row: 9, column: 7 },
  controls: [
    { name: "step", label: "Show", most: () => 2, words: (k) => ["depthwise", "both steps", "full"][k] },
    { name: "channel", label: "Channel", most: (at) => (at.step ? OUTS : MAPS) - 1,
      words: (k, at) => `${k + 1} of ${at.step ? OUTS : MAPS}` },
  ],
  fit: (at) => ({ ...at, channel: clamp(at.channel, 0, (at.step ? OUTS : MAPS) - 1) }),
  hit(at, { step }) {
    for (const m of range(MAPS)) {
      const found = square(at, SIDE, SIDE, X.filtered, above.filtered(m), CELL);
      if (found && step < 2) return { ...found, channel: m, step: 0 };
    }
    for (const n of range(OUTS)) {
      const found = square(at, SIDE, SIDE, X.output, above.output(n), SMALL);
      if (found) return { ...found, channel: n, step: step || 1 };
    }
    return null;
  },
  move: (at, right, down) => ({
    row: clamp(at.row + down, 0, SIDE - 1),
    column: clamp(at.column + right, 0, SIDE - 1),
  }),
  draw(at) {
    const { step, channel, row, column } = at;
    let out = words(X.input, 16, "4 input maps", `class="bold"`);
    out += words(X.filtered, 16, "filtered: depthwise", `class="bold"`);
    out += words(X.output - 30, 16, "6 outputs: pointwise", `class="bold"`);
    const at_map = (m) => [X.input + (column + 0.5) * CELL, above.input(m) + (row + 0.5) * CELL];
    const at_filtered = (m) => [X.filtered + (column + 0.5) * CELL, above.filtered(m) + (row + 0.5) * CELL];
    const target = [X.output + (column + 0.5) * SMALL, above.output(channel) + (row + 0.5) * SMALL];
    for (const m of range(MAPS)) {
      out += pixels(maps.input[m], X.input, above.input(m), CELL, (x) => grey(x / limit.input));
      const faded = step === 2 ? `opacity="0.25"` : "";
      out += `<g ${faded}>` + pixels(maps.filtered[m], X.filtered, above.filtered(m), CELL,
        (x) => signed(x / limit.filtered)) + "</g>";
    }
    for (const n of range(OUTS)) {
      const faded = step === 0 ? `opacity="0.25"` : "";
      out += `<g ${faded}>` + pixels(maps.output[n], X.output, above.output(n), SMALL,
        (x) => signed(x / limit.output)) + "</g>";
    }
    // A kernel as nine squares, on the line from its window to what it gives.
    const kernel = (weights, x, y) => {
      const rows = range(3).map((i) => weights.slice(3 * i, 3 * i + 3));
      return pixels(rows, x - 15, y - 15, 10, (w) => signed(w / 0.6));
    };
    const arrow = (from, to) => line(...from, ...to, `stroke="var(--two)" stroke-width="1.6"`);
    for (const m of step ? range(MAPS) : [channel]) {
      const [x, y] = at_map(m);
      out += box(x - 1.5 * CELL, y - 1.5 * CELL, 3 * CELL, 3 * CELL, `class="mark"`);
      const end = step === 2 ? target : at_filtered(m);
      out += arrow([x + 1.5 * CELL, y], end);
      out += kernel(step === 2 ? scaled(m, channel) : data.depthwise[m], 160,
        y + ((160 - x) / (end[0] - x)) * (end[1] - y));
      if (step === 2) continue;
      out += box(end[0] - CELL / 2, end[1] - CELL / 2, CELL, CELL, `class="mark"`);
      if (step === 1) {
        out += arrow([end[0] + CELL / 2, end[1]], target);
        const [px, py] = [430, end[1] + ((430 - end[0]) / (target[0] - end[0])) * (target[1] - end[1])];
        out += box(px - 27, py - 9, 54, 18, `class="box" rx="4"`);
        out += words(px, py + 4, digits(data.pointwise[m][channel], 3), `class="middle"`);
      }
    }
    if (step) out += box(target[0] - 3, target[1] - 3, 6, 6, `class="mark"`);
    const lowest = above.input(MAPS - 1) + SIDE * CELL;
    out += words(160, lowest + 18, step === 2 ? "one 3 x 3 kernel a pair" : "one 3 x 3 kernel a map", `class="middle soft"`);
    if (step === 1) out += words(430, lowest + 18, "one weight a pair", `class="middle soft"`);
    return out;
  },
  say(at) {
    const { step, channel, row, column } = at;
    const place = `row ${row + 1}, column ${column + 1}`;
    const work = { depthwise: SIDE * SIDE * 9 * MAPS, pointwise: SIDE * SIDE * MAPS * OUTS };
    const both = work.depthwise + work.pointwise;
    const whole = SIDE * SIDE * 9 * MAPS * OUTS;
    const costs = `All maps: depthwise ${commas(work.depthwise)} and pointwise ` +
      `${commas(work.pointwise)} multiply-adds, together <b id="work">${commas(both)}</b>; full ` +
      `<b id="full">${commas(whole)}</b>, ${digits(whole / both, 1)} times as many.`;
    const what = [
      () => `Filtered map ${channel + 1}, ${place}: 9 weights on 9 pixels of map ${channel + 1} alone give ` +
        `<b id="value">${digits(filtered(channel, at), 3)}</b>.`,
      () => `Output ${channel + 1}, ${place}: ${MAPS} times 9 weights filter, ${MAPS} weights combine, and ` +
        `give <b id="value">${digits(combined(channel, at), 3)}</b>.`,
      () => `Output ${channel + 1}, ${place}: a full convolution with ${9 * MAPS} weights for this output ` +
        `gives <b id="value">${digits(full(channel, at), 3)}</b>, the same number.`,
    ];
    return `${what[step]()} ${costs}`;
  },
};
