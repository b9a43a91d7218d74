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
    // Of codes -1: nothing is drawn yet
    this.values = new Float32Array(this.n).fill(-1);
    this.isEmpty = true;
    this.heat = new Float32Array(this.n);
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
    const {isEmpty} = this;
    this.isEmpty = values === null;
    if (this.layer.codes === null) {
      this.updateFloats(values);
      return;
    }
    const top = this.layer.codes.levels - 1;
    let changed = 0, on = 0;
    for (let i = 0; i < this.n; i++) {
      const code = values ? values[i] : -1;
      if (values && !isEmpty && code !== this.values[i]) {
        changed++;
        this.heat[i] = 1;
      }
      this.values[i] = code;
      on += code === top;
    }
    this.say(this.isBits
      ? [['on', values ? `${whole(on)} are +1` : '+1'],
        ['off', values ? `${whole(this.n - on)} are −1` : '−1'],
        ['flip', values ? `${whole(changed)} just flipped` : 'just flipped']]
      : [['off', 'least'], ['on', 'greatest'], ['flip', values
        ? `${whole(changed)} just changed` : 'just changed']]);
  }

  /** Floats become shares of their range, in which 0 is. */
  updateFloats(values) {
    const least = values ? values.reduce((a, b) => Math.min(a, b), 0) : 0;
    const top = values ? values.reduce((a, b) => Math.max(a, b), 0) : 0;
    let above = 0;
    for (let i = 0; i < this.n; i++) {
      above += values && values[i] > 0;
      this.values[i] = values && top > least
        ? (values[i] - least) / (top - least) : 0;
    }
    this.say(values
      ? [['off', least ? decimal(least) : '0'], ['ink', decimal(top)],
        [null, `${whole(above)} are above 0`]]
      : [['off', 'least'], ['ink', 'greatest']]);
  }

  /** Says what colours stand for. */
  say(pairs) {
    this.words.innerHTML = pairs.map(([color, words]) => color
      ? `<span class="key" style="--color: var(--${color})">${words}</span>`
      : `<span>${words}</span>`).join(' &ensp;');
  }

  /** Draws; returns whether it has to be drawn again soon. */
  draw(colors, cooling) {
    const context = this.canvas.getContext('2d');
    const {x, y, side, values, heat, layer: {codes}} = this;
    const color = codes ? colors.on : colors.ink;
    const top = codes ? codes.levels - 1 : 1;
    let isHot = false;
    const paint = (i, fill, alpha) => {
      context.globalAlpha = alpha;
      context.fillStyle = fill;
      context.fillRect(x[i], y[i], side, side);
    };
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (let i = 0; i < this.n; i++) {
      paint(i, colors.off, 1);
      if (values[i] > 0) paint(i, color, values[i] / top);
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
