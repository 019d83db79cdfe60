// One step of a convolution: nine pixels, nine weights, one sum.
const [SIDE, LEFT, RIGHT, TOP] = [9, 4, 464, 26];

const bright = (row, column, image) => {
  const inside = row >= 0 && column >= 0 && row < 28 && column < 28;
  return inside ? data.pictures[image].pixels[28 * row + column] / 255 : 0;
};
const products = (row, column, { filter, image }) =>
  data.filters[filter].weights.map(
    (weight, k) => weight * bright(row - 1 + Math.floor(k / 3), column - 1 + (k % 3), image));
const result = (row, column, at) => add(products(row, column, at)) + data.filters[at.filter].bias;

let made = "", map;
function feature_map(at) {
  const key = `${at.filter} ${at.image}`;
  if (key !== made) map = range(28).map((i) => range(28).map((j) => result(i, j, at)));
  made = key;
  return map;
}

idea = {
  height: 296,
  alt: "Left a picture of an ankle boot of 28 by 28 pixels with a window of 3 by 3 marked, in the " +
    "middle its nine pixels times nine trained weights, right the feature map with the sum marked.",
  start: { ...data.start, image: 0 },
  controls: [
    { name: "filter", label: "Filter", most: () => data.filters.length - 1,
      words: (k) => `${k + 1} of ${data.filters.length}` },
    { name: "image", label: "Picture", most: () => data.pictures.length - 1,
      words: (k) => data.pictures[k].name },
  ],
  hit(at) {
    return square(at, 28, 28, RIGHT, TOP, SIDE) || square(at, 28, 28, LEFT, TOP, SIDE);
  },
  move(at, right, down) {
    return { row: clamp(at.row + down, 0, 27), column: clamp(at.column + right, 0, 27) };
  },
  draw(at) {
    const { row, column } = at;
    const map = feature_map(at);
    const largest = Math.max(...map.flat().map(Math.abs));
    const rows = range(28).map((i) => range(28).map((j) => bright(i, j, at.image)));
    let out = words(LEFT + 126, 16, "picture, 28 x 28", `class="middle"`);
    out += words(RIGHT + 126, 16, "feature map, 28 x 28", `class="middle"`);
    out += pixels(rows, LEFT, TOP, SIDE, grey);
    out += pixels(map, RIGHT, TOP, SIDE, (x) => signed(x / largest));
    out += box(LEFT + (column - 1) * SIDE, TOP + (row - 1) * SIDE, 27, 27, `class="mark"`);
    for (const [wide, colour] of [[5, "#fff"], [2, "#111"]]) {
      const look = `fill="none" stroke="${colour}" stroke-width="${wide}"`;
      out += box(RIGHT + column * SIDE - 2, TOP + row * SIDE - 2, 13, 13, look);
    }
    const pieces = range(9).map((k) =>
      bright(row - 1 + Math.floor(k / 3), column - 1 + (k % 3), at.image));
    const tint = (x) => signed(x / 0.8);
    const tables = [
      ["the window's pixels", pieces, grey, (x) => x < 0.5],
      ["times the filter's weights", data.filters[at.filter].weights, tint, (x) => x < -0.6],
      ["gives nine products", products(row, column, at), tint, (x) => x < -0.6],
    ];
    tables.forEach(([name, numbers, colour, dark], t) => {
      const top = TOP + 94 * t;
      out += words(360, top - 10 + (t ? 2 : 0), name, `class="middle"`);
      numbers.forEach((x, k) => {
        const [left, low] = [288 + 48 * (k % 3), top + 22 * Math.floor(k / 3)];
        out += box(left, low, 48, 22, `fill="${colour(x)}" stroke="var(--line)"`);
        const look = `class="middle" style="fill:${dark(x) ? "#fff" : "#111"}"`;
        out += words(left + 24, low + 15, digits(x, 3), look);
      });
    });
    out += words(RIGHT, 292, "blue: below 0, white: 0, orange: above", `class="soft"`);
    return out;
  },
  say(at) {
    const sum = add(products(at.row, at.column, at));
    const whole = result(at.row, at.column, at);
    const { bias } = data.filters[at.filter];
    return `Row ${at.row + 1}, column ${at.column + 1}: the nine products add up to ` +
      `<b id="sum">${digits(sum, 3)}</b>. With the bias of ${digits(bias, 3)} the map gets ` +
      `<b id="value">${digits(whole, 3)}</b>; the ReLU after it hands on ` +
      `<b id="relu">${digits(Math.max(0, whole), 3)}</b>. Outside the picture lie zeros.`;
  },
};
