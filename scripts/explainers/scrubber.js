// The recorded long trainings: training and validation error of each network after each epoch.
const [LEFT, WIDE, TOP, PITCH, MOST] = [130, 500, 24, 36, 50];
const longest = Math.max(...data.networks.map((one) => one.training[0].length));

// The mean over the seeds after an epoch; a network whose training was shorter stays at its end.
function error(network, part, epoch) {
  const runs = data.networks[network][part];
  const at = Math.min(epoch, runs[0].length) - 1;
  return add(runs.map((run) => run[at])) / runs.length;
}

idea = {
  height: 356,
  alt: "Two bars for each of eight networks after the first epoch of the long trainings: the error " +
    "on the training pictures and on the validation pictures in percent.",
  start: { epoch: 1, network: 0 },
  controls: [
    { name: "epoch", label: "Epoch", least: 1, most: () => longest, words: (k) => `${k} of ${longest}` },
    { name: "network", label: "Network", most: () => data.networks.length - 1,
      words: (k) => data.networks[k].name },
  ],
  hit({ y }) {
    const network = Math.floor((y - TOP) / PITCH);
    return network >= 0 && network < data.networks.length ? { network } : null;
  },
  move: (at, right, down) => ({
    epoch: clamp(at.epoch + right, 1, longest),
    network: clamp(at.network + down, 0, data.networks.length - 1),
  }),
  draw(at) {
    const bottom = TOP + PITCH * data.networks.length;
    let out = "";
    for (const percent of [0, 10, 20, 30, 40, 50]) {
      const x = LEFT + (WIDE * percent) / MOST;
      out += line(x, TOP - 4, x, bottom, `stroke="var(--pale)"`);
      out += words(x, bottom + 16, `${percent} %`, `class="middle soft"`);
    }
    data.networks.forEach(({ name, training }, k) => {
      const y = TOP + PITCH * k;
      const ended = at.epoch > training[0].length;
      if (k === at.network) out += box(2, y + 1, 716, PITCH - 2, `fill="none" stroke="var(--ink)" rx="4"`);
      out += words(LEFT - 8, y + (ended ? 16 : 22), name, `class="end${k === at.network ? " bold" : ""}"`);
      if (ended) out += words(LEFT - 8, y + 30, `ended at ${training[0].length}`, `class="end soft"`);
      [["training", "--one"], ["validation", "--two"]].forEach(([part, colour], row) => {
        const found = error(k, part, at.epoch);
        const long = (WIDE * Math.min(found, MOST)) / MOST;
        const look = `fill="var(${colour})" ${ended ? `fill-opacity="0.5"` : ""}`;
        out += box(LEFT, y + 5 + 14 * row, long.toFixed(1), 12, look);
        out += words((LEFT + long + 5).toFixed(1), y + 15 + 14 * row, digits(found, 1));
      });
    });
    out += box(LEFT, 4, 12, 12, `fill="var(--one)"`) + words(LEFT + 18, 14, "error in training");
    out += box(LEFT + 150, 4, 12, 12, `fill="var(--two)"`) + words(LEFT + 168, 14, "validation error");
    return out;
  },
  say(at) {
    const { name, training } = data.networks[at.network];
    const epoch = Math.min(at.epoch, training[0].length);
    const [learned, held] = ["training", "validation"].map((part) => error(at.network, part, at.epoch));
    return `${name} in epoch ${epoch} of ${training[0].length}: training error ` +
      `<b id="training">${digits(learned, 2)}</b> %, validation error ` +
      `<b id="validation">${digits(held, 2)}</b> %, ${training.length} seed` +
      `${training.length > 1 ? "s" : ""}. The training error is the mean over the epoch, while the ` +
      `weights still changed; the validation error is measured at its end.`;
  },
};
