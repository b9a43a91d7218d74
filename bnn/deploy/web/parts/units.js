// Hidden layers: each unit a square, each feature map a field of them.

/** The divisor of n that is nearest to a wish, or else the wish. */
function columnsFor(n, wish, most) {
  const aim = Math.max(1, Math.min(Math.round(wish), most));
  for (let away = 0; away <= aim / 4; away++) {
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
    // What is drawn stays where the page only becomes higher.
    if (this.ratio === ratio && this.canvas.width === width) return;
    this.ratio = ratio;
    // Not much wider than high, a unit of 4.5 pixels of the page or more; of
    // a map 2 or more, or what makes a large map 38 pixels wide, and a square
    // between it and the next
    const isMap = rows * columns > 1;
    const [across, down] = isMap ? [columns + 1, rows + 1] : [1, 1];
    const least = (isMap ? Math.min(2, 38 / across) : 4.5) * ratio;
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
    const isFine = cell <= 4 || isMap && cell < 8 * ratio;
    const gap = isFine ? 0 : cell > 12 ? 2 : 1;
    // Without a gap the next square begins on the last pixel of this one.
    this.side = gap ? Math.floor(cell) - gap : Math.ceil(cell);
    this.canvas.width = width;
    this.canvas.height = Math.ceil(cell * (
      Math.ceil(maps / perRow) * down - (isMap ? 1 : 0)));
    this.canvas.style.height = `${this.canvas.height / ratio}px`;
    this.pixels = this.canvas.getContext('2d').createImageData(
      this.canvas.width, this.canvas.height);
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
    const {x, y, side, shares, heat, pixels, layer: {codes}} = this;
    const [off, on, flip] = [
      colors.off, codes ? colors.on : colors.ink, colors.flip].map(
      color => bytesOf(context, color));
    // All pixels at once: there may be 100,000 units.
    const words = new Uint32Array(pixels.data.buffer);
    const color = new Uint8Array(4).fill(255);
    const word = new Uint32Array(color.buffer);
    let isHot = false;
    for (let i = 0; i < this.n; i++) {
      for (let c = 0; c < 3; c++) {
        const cold = off[c] + (on[c] - off[c]) * shares[i];
        color[c] = Math.round(cold + (flip[c] - cold) * heat[i]);
      }
      const right = Math.min(x[i] + side, pixels.width);
      for (let r = y[i]; r < y[i] + side; r++) {
        for (let k = x[i]; k < right; k++) {
          words[r * pixels.width + k] = word[0];
        }
      }
      heat[i] = heat[i] > cooling ? heat[i] - cooling : 0;
      isHot = isHot || heat[i] > 0;
    }
    context.putImageData(pixels, 0, 0);
    return isHot;
  }
}

/** Red, green and blue of a color of CSS. */
function bytesOf(context, color) {
  context.fillStyle = color;
  return [1, 3, 5].map(at => parseInt(
    context.fillStyle.slice(at, at + 2), 16));
}

/** A number with three digits that count. */
const decimal = x => new Intl.NumberFormat('en', {
  maximumSignificantDigits: 3}).format(x).replace('-', '−');
