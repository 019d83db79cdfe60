// One row of units, layer after layer: what a unit sees of the layers to its left.
const [TOP, HIGH] = [44, 268];
const sizes = (at) => [data.stacks[at.stack].side, ...data.stacks[at.stack].layers.map((l) => l.size)];
const pitch = (at) => 640 / Math.max(3, sizes(at).length - 1);
const cell = (at) => HIGH / data.stacks[at.stack].side;

// Where the middle of each unit lies, in pixels of the input.
function middles(at) {
  let [first, step] = [0.5, 1];
  const found = [{ first, step }];
  for (const { kernel, stride, pad } of data.stacks[at.stack].layers) {
    first += ((kernel - 1) / 2 - pad) * step;
    step *= stride;
    found.push({ first, step });
  }
  return found;
}

// The formula of the chapter: each layer adds (kernel - 1) steps.
function formula(at) {
  let [field, step] = [1, 1];
  for (const { kernel, stride } of data.stacks[at.stack].layers.slice(0, at.layer)) {
    field += (kernel - 1) * step;
    step *= stride;
  }
  return field;
}

// [first, last] unit that is seen in every layer up to the chosen one, the border cut off.
function seen(at) {
  const [layers, found] = [data.stacks[at.stack].layers, [[at.unit, at.unit]]];
  for (let k = at.layer - 1; k >= 0; k--) {
    const [{ kernel, stride, pad }, [low, high]] = [layers[k], found[0]];
    const last = sizes(at)[k] - 1;
    found.unshift([clamp(low * stride - pad, 0, last), clamp(high * stride - pad + kernel - 1, 0, last)]);
  }
  return found;
}

idea = {
  height: 366,
  alt: "One row of 15 pixels and three layers of 3 by 3 convolutions behind it. From the middle " +
    "unit of the last layer a cone opens to the left: it sees 3 units, 5 units and 7 pixels.",
  start: { stack: 0, layer: 3, unit: 7 },
  controls: [
    { name: "stack", label: "Layers", most: () => data.stacks.length - 1,
      words: (k) => data.stacks[k].name },
  ],
  fit(at) {
    if (at.stack !== state.stack) {
      at.layer = data.stacks[at.stack].layers.length;
      at.unit = Math.floor(sizes(at)[at.layer] / 2);
    }
    return at;
  },
  hit({ x, y }, at) {
    const layer = clamp(Math.round((x - 40) / pitch(at)), 1, sizes(at).length - 1);
    const { first, step } = middles(at)[layer];
    const unit = Math.round(((y - TOP) / cell(at) - first) / step);
    return y < TOP || y > TOP + HIGH ? null : { layer, unit: clamp(unit, 0, sizes(at)[layer] - 1) };
  },
  move(at, right, down) {
    const layer = clamp(at.layer + right, 1, sizes(at).length - 1);
    const [before, after] = [middles(at)[at.layer], middles(at)[layer]];
    const place = before.first + before.step * at.unit;
    const unit = right ? Math.floor((place - after.first) / after.step + 0.5) : at.unit + down;
    return { layer, unit: clamp(unit, 0, sizes(at)[layer] - 1) };
  },
  draw(at) {
    const [{ layers }, found, places, side] = [data.stacks[at.stack], seen(at), middles(at), cell(at)];
    const x = (k) => 40 + pitch(at) * k;
    const y = (k, unit) => TOP + side * (places[k].first + places[k].step * unit);
    const half = Math.min(side * 0.42, 9);
    let out = "";
    for (let k = 1; k <= at.layer; k++) {
      const [[a, b], [c, d]] = [found[k - 1], found[k]];
      const corners = [[x(k - 1) + half, y(k - 1, a) - half], [x(k) - half, y(k, c) - half],
        [x(k) - half, y(k, d) + half], [x(k - 1) + half, y(k - 1, b) + half]];
      const points = corners.map((corner) => corner.map((v) => v.toFixed(1)).join(" ")).join(" ");
      out += `<polygon points="${points}" fill="var(--two)" fill-opacity="0.2"/>`;
    }
    sizes(at).forEach((size, k) => {
      const [low, high] = found[k] || [0, -1];
      for (const unit of range(size)) {
        const fill = unit >= low && unit <= high ? "var(--two)" : "var(--paper)";
        const look = `fill="${fill}" stroke="var(--line)"`;
        const [left, top] = [x(k) - half, y(k, unit) - half].map((v) => v.toFixed(1));
        out += box(left, top, (2 * half).toFixed(1), (2 * half).toFixed(1), look);
      }
      const look = k === at.layer ? `class="middle bold"` : `class="middle soft"`;
      out += words(x(k), k % 2 || sizes(at).length < 9 ? 16 : 32, k ? layers[k - 1].name : "pixels", look);
      const { kernel, stride } = layers[k - 1] || {};
      if (k) out += words(x(k), 334, `${kernel} x ${kernel}`, look);
      if (k && stride > 1) out += words(x(k), 350, `stride ${stride}`, look);
    });
    return out;
  },
  say(at) {
    const [[low, high]] = seen(at);
    const [{ layers, side }, field] = [data.stacks[at.stack], formula(at)];
    const cut = high - low + 1 < field ? "Its field reaches beyond the border." : "";
    return `Unit ${at.unit + 1} of ${sizes(at)[at.layer]} in ${layers[at.layer - 1].name}: its receptive ` +
      `field is <b id="field">${field}</b> x ${field} pixels by the formula. In this row it sees ` +
      `<b id="seen">${high - low + 1}</b> of ${side} pixels, ${low + 1} to ${high + 1}. ${cut}`;
  },
};
