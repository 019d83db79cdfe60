// Eight networks, one picture: which squares of their maps raised the logit of their answer.
const [SIDE, LEFT, TOP, STEP, DOWN] = [28 * 5, 4, 24, 178, 196];
const GARMENT = 40; // a pixel is the garment's from this grey on, of 255

const rowsOf = (list, side) => range(side).map((i) => list.slice(side * i, side * (i + 1)));
const corner = (n) => [LEFT + STEP * (n % 4), TOP + DOWN * Math.floor(n / 4)];
const seen = (at) => data.networks[at.network].seen[at.sample];
const share = (at) => (100 * seen(at).map[at.row * at.side + at.column]) / add(seen(at).map);

// How much of each square of a map the garment covers, from the pixels below it.
function covered(pixels, side) {
  const cover = Array(side * side).fill(0);
  const overlap = (pixel, cell) =>
    Math.max(0, Math.min(pixel + 1, ((cell + 1) * 28) / side) - Math.max(pixel, (cell * 28) / side));
  pixels.forEach((value, place) => {
    if (value < GARMENT) return;
    const [y, x] = [Math.floor(place / 28), place % 28];
    for (const i of range(side)) {
      for (const j of range(side)) cover[i * side + j] += overlap(y, i) * overlap(x, j);
    }
  });
  return cover.map((area) => area / (28 / side) ** 2);
}

function onGarment(at) {
  const [cover, map] = [covered(data.pictures[at.sample].pixels, at.side), seen(at).map];
  return (100 * add(map.map((heat, i) => heat * cover[i]))) / add(map);
}

const heat = (x) => "#d55e00" + hex([0, 0, 255 * 0.85 * (Math.round(10 * x) / 10)]).slice(5);

idea = {
  height: 392,
  alt: "The same picture eight times, once for each network. Orange squares lie where the " +
    "network's maps raised the logit of the class that it answers.",
  start: { sample: 0, network: 3, row: 3, column: 3, side: data.networks[3].side },
  controls: [
    { name: "sample", label: "Picture", most: () => data.pictures.length - 1,
      words: (k) => `${k + 1}: ${data.pictures[k].name}` },
  ],
  fit(at) {
    const side = data.networks[at.network].side;
    return { ...at, side, row: clamp(at.row, 0, side - 1), column: clamp(at.column, 0, side - 1) };
  },
  hit(at) {
    for (const network of range(8)) {
      const side = data.networks[network].side;
      const place = square(at, side, side, ...corner(network), SIDE / side);
      if (place) return { network, ...place };
    }
    return null;
  },
  move: (at, right, down) => ({
    row: clamp(at.row + down, 0, at.side - 1),
    column: clamp(at.column + right, 0, at.side - 1),
  }),
  draw(at) {
    const picture = data.pictures[at.sample];
    const dark = (x) => grey(x / 255);
    let out = `<defs><g id="photo">${pixels(rowsOf(picture.pixels, 28), 0, 0, SIDE / 28, dark)}</g></defs>`;
    data.networks.forEach(({ name, side, seen }, n) => {
      const [x, y] = corner(n);
      const { map, answer, surety } = seen[at.sample];
      const right = answer === picture.name;
      out += words(x, y - 8, name, `class="bold"`);
      out += `<use href="#photo" x="${x}" y="${y}"/>`;
      out += pixels(rowsOf(map, side), x, y, SIDE / side, (value) => heat(value / 100));
      out += words(x, y + SIDE + 16, `${right ? "\u2713" : "\u2717"} ${answer.toLowerCase()}, ${surety} %`);
    });
    const [x, y] = corner(at.network);
    const each = SIDE / at.side;
    for (const [wide, colour] of [[4, "#fff"], [2, "#111"]]) {
      const look = `fill="none" stroke="${colour}" stroke-width="${wide}"`;
      out += box(x + each * at.column, y + each * at.row, each, each, look);
    }
    return out;
  },
  say(at) {
    const [picture, { name, layer }] = [data.pictures[at.sample], data.networks[at.network]];
    const { answer, surety } = seen(at);
    const cover = add(covered(picture.pixels, at.side)) / at.side ** 2;
    const verdict = answer === picture.name ? "which is right" : `and it is ${picture.name.toLowerCase()}`;
    return `${name} answers ${answer.toLowerCase()} (${surety} %), ${verdict}. Its maps at ${layer} are ` +
      `${at.side} x ${at.side}. Row ${at.row + 1}, column ${at.column + 1} holds ` +
      `<b id="share">${digits(share(at), 1)}</b> % of what raised that logit. ` +
      `<b id="garment">${digits(onGarment(at), 1)}</b> % lies on the garment, which covers ` +
      `<b id="cover">${digits(100 * cover, 1)}</b> % of the picture.`;
  },
};
