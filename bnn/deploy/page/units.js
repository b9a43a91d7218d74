// Hidden units as a grid of bits.

/** A layer's units as a grid, those that have just changed marked. */
class Units {
  constructor(layer, number) {
    this.layer = layer;
    const n = layer.filters;
    this.codes = new Int32Array(n).fill(-1);
    this.heat = new Float32Array(n);
    const card = document.createElement('div');
    card.className = 'layer';
    const title = document.createElement('h2');
    const levels = layer.result.levels;
    title.textContent = `Hidden layer ${number}: ${whole(n)} ` + (
      levels === 2 ? 'bits' : `units of ${levels} levels`);
    this.words = document.createElement('p');
    this.canvas = document.createElement('canvas');
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', `The units of hidden layer ${
      number}, a square each`);
    card.append(title, this.words, this.canvas);
    element('hidden').append(card);
    this.resize();
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * ratio) || 300;
    // Not much wider than high, 7 pixels of the page a unit or more, and the
    // last row full if n has such a divisor nearby
    const n = this.layer.filters;
    const most = Math.max(1, Math.min(
      Math.round(Math.sqrt(1.6 * n)), Math.floor(width / (7 * ratio))));
    this.columns = most;
    for (let c = most; c > 0.75 * most; c--) {
      if (n % c === 0) {
        this.columns = c;
        break;
      }
    }
    this.cell = Math.min(width / this.columns, 22 * ratio);
    this.canvas.width = width;
    this.canvas.height = Math.round(
      Math.ceil(n / this.columns) * this.cell);
    this.canvas.style.height = `${this.canvas.height / ratio}px`;
  }

  /** Takes the units of a new prediction; null: nothing is drawn. */
  update(codes) {
    let flipped = 0, on = 0;
    const {levels} = this.layer.result;
    for (let i = 0; i < this.codes.length; i++) {
      const code = codes ? codes[i] : -1;
      if (code !== this.codes[i] && code >= 0 && this.codes[i] >= 0) {
        flipped++;
        this.heat[i] = 1;
      }
      this.codes[i] = code;
      on += code === levels - 1;
    }
    const key = (color, words) =>
      `<span class="key" style="--color: var(--${color})">${words}</span>`;
    this.words.innerHTML = levels === 2
      ? [key('on', codes ? `${whole(on)} are +1` : '+1'),
        key('off', codes ? `${whole(this.codes.length - on)} are −1` : '−1'),
        key('flip', codes ? `${whole(flipped)} just flipped` : 'just flipped'),
      ].join(' &ensp;')
      : [key('off', 'least'), key('on', 'greatest'), key('flip', codes
        ? `${whole(flipped)} just changed` : 'just changed')].join(' &ensp;');
  }

  /** Draws; returns whether it has to be drawn again soon. */
  draw(colors, cooling) {
    const context = this.canvas.getContext('2d');
    const {cell, columns, codes, heat} = this;
    const top = this.layer.result.levels - 1;
    const gap = cell > 12 ? 2 : 1;
    let isHot = false;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (let i = 0; i < codes.length; i++) {
      const x = Math.round(i % columns * cell);
      const y = Math.round(Math.floor(i / columns) * cell);
      const width = Math.round((i % columns + 1) * cell) - x - gap;
      const height = Math.round(
        (Math.floor(i / columns) + 1) * cell) - y - gap;
      const paint = (color, alpha) => {
        context.globalAlpha = alpha;
        context.fillStyle = color;
        context.fillRect(x, y, width, height);
      };
      paint(colors.off, 1);
      if (codes[i] > 0) paint(colors.on, codes[i] / top);
      if (heat[i] > 0) {
        paint(colors.flip, heat[i]);
        heat[i] = heat[i] > cooling ? heat[i] - cooling : 0;
        isHot = isHot || heat[i] > 0;
      }
    }
    context.globalAlpha = 1;
    return isHot;
  }
}
