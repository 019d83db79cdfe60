// Two grouped 1 x 1 convolutions behind each other, without and with a shuffle between them.
const COLOURS = ["--one", "--two", "--three", "--five", "--six", "--soft"];
const [TOP, DEEP] = [50, 260];
const columns = { false: [20, 155, 290], true: [410, 510, 600, 700] };
const total = ({ groups, each }) => groups * each;
const y = (channel, at) => TOP + (DEEP * (channel + 0.5)) / total(at);

// The channels that a channel of a column reads in the column to its left.
function sources(channel, step, shuffled, { groups, each }) {
  if (shuffled && step === 1) return [(channel % groups) * each + Math.floor(channel / groups)];
  const first = Math.floor(channel / each) * each;
  return range(each).map((k) => first + k);
}

// The channels of every column, from the last to the input, that lead to one output.
function way(output, shuffled, at) {
  const seen = [[output]];
  for (let step = columns[shuffled].length - 2; step >= 0; step--) {
    const all = seen[0].flatMap((channel) => sources(channel, step, shuffled, at));
    seen.unshift([...new Set(all)]);
  }
  return seen;
}

idea = {
  height: 336,
  alt: "Two stacks of two grouped convolutions, twelve channels in three groups, drawn as lines. " +
    "Left, without a shuffle, the marked output sees the four inputs of its own group; right, " +
    "with a shuffle between the two, it sees all twelve.",
  start: { output: 4, groups: 3, each: 4 },
  controls: [
    { name: "groups", label: "Groups", least: 2, most: () => 6, words: (g) => `${g}` },
    { name: "each", label: "Channels in a group", least: 1, most: () => 6,
      words: (n, at) => `${n}, so ${total(at)} channels` },
  ],
  fit: (at) => ({ ...at, output: clamp(at.output, 0, total(at) - 1) }),
  hit({ x, y: high }, at) {
    const output = Math.floor(((high - TOP) / DEEP) * total(at));
    return output < 0 || output >= total(at) || x < 0 ? null : { output };
  },
  move: (at, right, down) => ({ output: clamp(at.output + down + right, 0, total(at) - 1) }),
  draw(at) {
    let out = "";
    for (const shuffled of [false, true]) {
      const [places, seen] = [columns[shuffled], way(at.output, shuffled, at)];
      const middle = (places[0] + places[places.length - 1]) / 2;
      out += words(middle, 16, shuffled ? "with a shuffle" : "without a shuffle", `class="middle bold"`);
      const names = shuffled ? ["grouped", "shuffle", "grouped"] : ["grouped", "grouped"];
      names.forEach((name, k) => {
        out += words((places[k] + places[k + 1]) / 2, 36, name, `class="middle soft"`);
      });
      let [pale, marked] = ["", ""];
      for (let step = 0; step < places.length - 1; step++) {
        for (const channel of range(total(at))) {
          for (const source of sources(channel, step, shuffled, at)) {
            const piece = `M${places[step]} ${y(source, at).toFixed(1)}` +
              `L${places[step + 1]} ${y(channel, at).toFixed(1)}`;
            if (seen[step + 1].includes(channel)) marked += piece;
            else pale += piece;
          }
        }
      }
      out += `<path d="${pale}" stroke="var(--line)" stroke-opacity="0.35" fill="none"/>`;
      out += `<path d="${marked}" stroke="var(--ink)" stroke-width="1.4" fill="none"/>`;
      const high = Math.min(16, DEEP / total(at) - 1);
      places.forEach((x, column) => {
        for (const channel of range(total(at))) {
          const on = seen[column].includes(channel);
          // The colour of a channel is the group of the input that it stems from.
          const from = column === 0 ? channel : one_group(channel, column, shuffled, at);
          const fill = from === null ? "var(--paper)"
            : `var(${COLOURS[Math.floor(from / at.each) % COLOURS.length]})`;
          const edge = on ? `stroke="var(--ink)" stroke-width="2.5"` : `stroke="var(--line)"`;
          out += box(x - 8, (y(channel, at) - high / 2).toFixed(1), 16, high.toFixed(1), `fill="${fill}" ${edge}`);
        }
      });
      out += words(places[0] - 8, 328, "input", `class="soft"`);
      out += words(places[places.length - 1] + 8, 328, "output", `class="soft end"`);
    }
    out += words(350, 276, "white: holds", `class="soft middle"`);
    out += words(350, 292, "several groups", `class="soft middle"`);
    return out;
  },
  say(at) {
    const all = total(at);
    const [without, mixed] = [false, true].map((shuffle) => way(at.output, shuffle, at)[0].length);
    const part = (n) => `${digits((100 * n) / all, 0)} %`;
    return `Output ${at.output + 1} of ${all}. Without the shuffle it sees ` +
      `<b id="without">${without}</b> of ${all} inputs (${part(without)}), those of its own group. ` +
      `With the shuffle it sees <b id="with">${mixed}</b> of ${all} (${part(mixed)}). ` +
      `Both have ${commas(2 * all * at.each)} weights; the shuffle has none.`;
  },
};

// The input channel whose group a channel belongs to as long as groups have not mixed; else null.
function one_group(channel, column, shuffled, at) {
  const groups = new Set(
    inputs_of(channel, column, shuffled, at).map((k) => Math.floor(k / at.each)));
  return groups.size === 1 ? [...groups][0] * at.each : null;
}
function inputs_of(channel, column, shuffled, at) {
  if (column === 0) return [channel];
  const before = sources(channel, column - 1, shuffled, at);
  return [...new Set(before.flatMap((k) => inputs_of(k, column - 1, shuffled, at)))];
}
