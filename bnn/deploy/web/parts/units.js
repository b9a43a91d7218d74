// Hidden layers: each unit a square, each feature map a field of them.

/** The divisor of n that is nearest to a wish, or else the wish. */
function columnsFor(n, wish, most) {
  const aim = Math.max(1, Math.min(Math.round(wish), most));
  for (let away = 0; away <= aim / 3; away++) {
    for (const c of [aim - away, aim + away]) {
      if (c <= most && n % c === 0) return c;
    }
  }
  return aim;
}

/** What a hidden layer is given, where the next one takes it. */
class Units {
  /**
   * @param {object} layer One of `net.hidden`.
   * @param {number} number From 1 up.
   */
  constructor(layer, number) {
    this.layer = layer;
    // Units are maps of one unit each.
    [this.maps, this.rows, this.columns] = layer.shape.length === 3
      ? layer.shape : [layer.shape[0], 1, 1];
    this.n = product(layer.shape);
    this.isBits = layer.codes !== null && layer.codes.levels === 2;
    this.values = null; // Nothing is drawn yet.
    this.shares = new Float32Array(this.n); // of the range of values
    this.heat = new Float32Array(this.n); // 1 of a unit that just changed
    this.x = new Int32Array(this.n);
    this.y = new Int32Array(this.n);
    const card = document.createElement('div');
    card.className = 'layer';
    const title = document.createElement('h2');
    title.textContent = `Hidden layer ${number}: ${this.name()}`;
    this.words = document.createElement('p');
    this.canvas = document.createElement('canvas');
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', `The units of hidden layer ${
      number}, a square each`);
    card.append(title, this.words, this.canvas);
    element('hidden').append(card);
    this.resize();
  }

  /** What there is, in words. */
  name() {
    const {codes} = this.layer;
    const kind = this.isBits ? 'bits' : codes === null ? 'units'
      : `units of ${codes.levels} levels`;
    return this.rows * this.columns === 1 ? `${whole(this.maps)} ${kind}`
      : `${whole(this.maps)} × ${this.columns}×${this.rows} ${kind}`;
  }

  /** Lays the squares out. */
  resize() {
    const {maps, rows, columns, n, x, y} = this;
    const ratio = devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * ratio) || 300;
    // Not much wider than high, a unit of 4.5 pixels of the page or more; of
    // a map 3 or more, and a square between it and the next
    const isMap = rows * columns > 1;
    const [across, down] = isMap ? [columns + 1, rows + 1] : [1, 1];
    const least = (isMap ? 3 : 4.5) * ratio;
    const wish = Math.sqrt(1.6 * maps * down / across);
    const most = Math.max(1, Math.floor(width / least / across));
    const perRow = columnsFor(maps, wish, Math.min(most, maps));
    const cell = Math.min(
      width / (perRow * across - (isMap ? 1 : 0)), 22 * ratio);
    for (let i = 0; i < n; i++) {
      const map = Math.floor(i / (rows * columns));
      const place = i % (rows * columns);
      x[i] = Math.round(
        cell * (map % perRow * across + place % columns));
      y[i] = Math.round(cell * (
        Math.floor(map / perRow) * down + Math.floor(place / columns)));
    }
    const gap = cell > 12 ? 2 : cell > 4 ? 1 : 0;
    this.side = Math.max(1, Math.floor(cell) - gap);
    this.canvas.width = width;
    this.canvas.height = Math.ceil(cell * (
      Math.ceil(maps / perRow) * down - (isMap ? 1 : 0)));
    this.canvas.style.height = `${this.canvas.height / ratio}px`;
  }

  /** Takes the units of a new prediction; null: nothing is drawn. */
  update(values) {
    const {codes} = this.layer;
    const before = this.values;
    this.values = values && Float32Array.from(values);
    // Floats become shares of their range, in which 0 is.
    const least = codes || !values ? 0 : values.reduce(
      (a, b) => Math.min(a, b), 0);
    const top = codes ? codes.levels - 1 : !values ? 0 : values.reduce(
      (a, b) => Math.max(a, b), 0);
    let changed = 0, positive = 0;
    for (let i = 0; i < this.n; i++) {
      const value = values ? values[i] : least;
      if (codes && values && before && value !== before[i]) {
        changed++;
        this.heat[i] = 1;
      }
      this.shares[i] = top > least ? (value - least) / (top - least) : 0;
      positive += value > 0;
    }
    const [off, on, third] = !codes
      ? [decimal(least), decimal(top), `${whole(positive)} are above 0`]
      : this.isBits
        ? [`${whole(this.n - positive)} are −1`, `${whole(positive)} are +1`,
          `${whole(changed)} just flipped`]
        : ['least', 'greatest', `${whole(changed)} just changed`];
    this.words.innerHTML = values ? [['off', off], [codes ? 'on' : 'ink', on],
      [codes && 'flip', third]].map(([color, words]) => `<span ${color
      ? `class="key" style="--color: var(--${color})"` : ''}>${
      words}</span>`).join(' &ensp;') : '&nbsp;';
  }

  /** Draws; returns whether it has to be drawn again soon. */
  draw(colors, cooling) {
    const context = this.canvas.getContext('2d');
    const {x, y, side, shares, heat, layer: {codes}} = this;
    const color = codes ? colors.on : colors.ink;
    let isHot = false;
    const paint = (i, fill, alpha) => {
      context.globalAlpha = alpha;
      context.fillStyle = fill;
      context.fillRect(x[i], y[i], side, side);
    };
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (let i = 0; i < this.n; i++) {
      paint(i, colors.off, 1);
      if (shares[i] > 0) paint(i, color, shares[i]);
      if (heat[i] > 0) {
        paint(i, colors.flip, heat[i]);
        heat[i] = heat[i] > cooling ? heat[i] - cooling : 0;
        isHot = isHot || heat[i] > 0;
      }
    }
    context.globalAlpha = 1;
    return isHot;
  }
}

/** A number with three digits that count. */
const decimal = x => new Intl.NumberFormat('en', {
  maximumSignificantDigits: 3}).format(x).replace('-', '−');
