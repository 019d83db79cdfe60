// A 1 x 1 convolution: the channels of one pixel, times a matrix, are fewer channels.
const [IN, OUT] = [data.weights.length, data.weights[0].length];
const [PICTURE, TOP, VECTOR, MATRIX, RESULT] = [4, 40, 286, 370, 560];
const [HIGH, WIDE] = [7, 34];

const activation = (at, c) => data.activations[7 * at.row + at.column][c];
const products = (at) => range(IN).map((c) => activation(at, c) * data.weights[c][at.output]);
const result = (at) => add(products(at)) + data.bias[at.output];

function cost({ side, channels, kernel, reduced, maps }) {
  const direct = side * side * kernel * kernel * channels * maps;
  const small = side * side * (channels * reduced + kernel * kernel * reduced * maps);
  return { direct, small };
}

idea = {
  height: 300,
  alt: `Left a picture of an ankle boot with one place marked, then the ${IN} channels of that place ` +
    `as a column, a matrix of ${IN} by ${OUT} trained weights with one column marked, and the ` +
    `${OUT} numbers that come out.`,
  start: { row: 5, column: 2, output: 0, count: 1 },
  controls: [
    { name: "output", label: "Output channel", most: () => OUT - 1, words: (k) => `${k + 1} of ${OUT}` },
    { name: "count", label: "Count for", most: () => data.paper.length - 1,
      words: (k) => `${data.paper[k].kernel} x ${data.paper[k].kernel} of 3a` },
  ],
  hit(at) {
    const place = square(at, 7, 7, PICTURE, TOP, 32);
    if (place) return place;
    const column = Math.floor((at.x - MATRIX) / WIDE);
    const inside = at.y >= TOP && at.y < TOP + IN * HIGH && column >= 0 && column < OUT;
    const row = Math.floor((at.y - TOP) / 30);
    if (at.x >= RESULT && row >= 0 && row < OUT) return { output: row };
    return inside ? { output: column } : null;
  },
  move: (at, right, down) => ({
    row: clamp(at.row + down, 0, 6),
    column: clamp(at.column + right, 0, 6),
  }),
  draw(at) {
    const rows = range(28).map((i) => data.picture.pixels.slice(28 * i, 28 * i + 28));
    let out = words(PICTURE, 16, `picture, 7 x 7 places`, `class="bold"`);
    out += pixels(rows, PICTURE, TOP, 8, (x) => grey(x / 255));
    out += box(PICTURE + 32 * at.column, TOP + 32 * at.row, 32, 32, `class="mark"`);
    out += words(VECTOR + 10, 16, `${IN} channels`, `class="middle bold"`);
    out += words(MATRIX + (OUT * WIDE) / 2, 16, `${IN} x ${OUT} weights`, `class="middle bold"`);
    out += words(RESULT + 66, 16, `${OUT} channels`, `class="middle bold"`);
    const all = data.activations.flat();
    const [largest, heaviest] = [Math.max(...all), Math.max(...data.weights.flat().map(Math.abs))];
    const from = [PICTURE + 32 * at.column + 32, TOP + 32 * at.row + 16];
    out += line(...from, VECTOR - 4, TOP + (IN * HIGH) / 2, `stroke="var(--two)" stroke-width="1.6"`);
    for (const c of range(IN)) {
      const y = TOP + HIGH * c;
      out += box(VECTOR, y, 20, HIGH, `fill="${signed(activation(at, c) / largest)}" stroke="var(--line)"`);
      for (const k of range(OUT)) {
        out += box(MATRIX + WIDE * k, y, WIDE, HIGH, `fill="${signed(data.weights[c][k] / heaviest)}"`);
      }
    }
    out += words(338, TOP + (IN * HIGH) / 2 + 4, "x", `class="middle"`);
    out += box(MATRIX, TOP, OUT * WIDE, IN * HIGH, `class="frame"`);
    for (const [wide, colour] of [[5, "#fff"], [2.5, "#111"]]) {
      const look = `fill="none" stroke="${colour}" stroke-width="${wide}"`;
      out += box(MATRIX + WIDE * at.output, TOP, WIDE, IN * HIGH, look);
    }
    const results = range(OUT).map((output) => result({ ...at, output }));
    const reach = Math.max(...results.map(Math.abs));
    results.forEach((x, k) => {
      const [y, on] = [TOP + 30 * k, k === at.output];
      const long = (50 * Math.abs(x)) / reach;
      out += box(RESULT + 50 - (x < 0 ? long : 0), y + 3, long.toFixed(1), 14, `fill="var(${x < 0 ? "--one" : "--two"})"`);
      out += words(RESULT + 150, y + 14, digits(x, 3), `class="end${on ? " bold" : ""}"`);
    });
    const y = TOP + 30 * at.output - 2;
    out += box(RESULT - 6, y, 162, 24, `fill="none" stroke="var(--ink)" stroke-width="1.5"`);
    return out + words(PICTURE, 290, "blue: below 0, white: 0, orange: above", `class="soft"`);
  },
  say(at) {
    const { kernel, reduced, channels, maps } = data.paper[at.count];
    const { direct, small } = cost(data.paper[at.count]);
    return `Row ${at.row + 1}, column ${at.column + 1}, output channel ${at.output + 1} of the 1 x 1 before the 5 x 5 in the small network's ` +
      `module 3b: ${IN} channels times ${IN} weights add up to ` +
      `<b id="sum">${digits(add(products(at)), 3)}</b>, with the bias ` +
      `<b id="value">${digits(result(at), 3)}</b>. In the paper's module 3a, ${kernel} x ${kernel} from ` +
      `${channels} channels to ${maps} costs <b id="direct">${commas(direct)}</b> multiply-adds, and ` +
      `<b id="reduced">${commas(small)}</b> with a 1 x 1 to ${reduced} before it: ` +
      `<b id="times">${digits(direct / small, 1)}</b> times fewer.`;
  },
};
