// The page: strokes in, what the net makes of them out.

const element = id => document.getElementById(id);
const bytesOf = id => Uint8Array.from(
  atob(element(id).textContent.trim()), c => c.charCodeAt(0));
const net = new Net(bytesOf('net'), bytesOf('popcount'));
const pad = element('pad');
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const whole = new Intl.NumberFormat('en').format;
const percent = p => `${(100 * p).toFixed(p > 0.9995 || p < 0.0005 ? 0 : 1)} %`;

const style = STYLES[net.facts.dataset] || STYLES.mnist;
let strokes = [];
let image = render(strokes, style);
let isDirty = true;
// Where the keys draw, and whether their pen is down
const cursor = {x: 0.5, y: 0.5, isDown: false, isShown: false};
let animation = null;

/* The picture that the net sees, and its answer */

const seen = element('seen');
seen.width = seen.height = SIZE;

function drawSeen() {
  const context = seen.getContext('2d');
  const pixels = context.createImageData(SIZE, SIZE);
  image.forEach((ink, i) => pixels.data.set([ink, ink, ink, 255], 4 * i));
  context.putImageData(pixels, 0, 0);
}

const bars = net.classNames.map(name => {
  const item = document.createElement('li');
  for (const part of ['percent', 'track', 'name']) {
    item.append(Object.assign(
      document.createElement('span'), {className: part}));
  }
  const bar = Object.assign(
    document.createElement('span'), {className: 'bar'});
  item.children[1].append(bar);
  item.children[2].textContent = name;
  element('bars').append(item);
  return {item, bar, percent: item.children[0]};
});

function showAnswer(probabilities) {
  const best = probabilities ? argmax(probabilities) : -1;
  element('digit').textContent = probabilities ? net.classNames[best] : '?';
  element('digit').classList.toggle('none', !probabilities);
  element('sure').textContent = probabilities
    ? percent(probabilities[best]) : 'nothing drawn yet';
  bars.forEach(({item, bar, percent: label}, i) => {
    const p = probabilities ? probabilities[i] : 0;
    bar.style.transform = `scaleY(${p})`;
    label.textContent = probabilities ? (100 * p).toFixed(0) : '';
    item.classList.toggle('first', i === best);
    item.setAttribute('aria-label', `${net.classNames[i]}: ${percent(p)}`);
  });
}

/** Says the answer to a screen reader, once a stroke is done. */
function say() {
  const words = strokes.length
    ? `${element('digit').textContent}, ${element('sure').textContent}`
    : 'Cleared';
  if (element('spoken').textContent !== words) {
    element('spoken').textContent = words;
  }
}

/* Hidden units */

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

// Beside the pad, unless they are many
element('pad').closest('main').classList.toggle(
  'wide', net.hidden.length <= 2);
const units = net.hidden.map((layer, i) => new Units(layer, i + 1));

/* The pad */

function drawPad(colors) {
  const ratio = devicePixelRatio || 1;
  const side = Math.round(pad.clientWidth * ratio);
  if (pad.width !== side) pad.width = pad.height = side;
  const context = pad.getContext('2d');
  context.clearRect(0, 0, side, side);
  context.lineCap = context.lineJoin = 'round';
  context.strokeStyle = colors.ink;
  context.lineWidth = side * 0.065;
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(stroke[0][0] * side, stroke[0][1] * side);
    if (stroke.length === 1) {
      context.lineTo(stroke[0][0] * side, stroke[0][1] * side);
    }
    for (let i = 1; i + 1 < stroke.length; i++) {
      const [a, b] = [stroke[i], stroke[i + 1]];
      context.quadraticCurveTo(
        a[0] * side, a[1] * side,
        (a[0] + b[0]) / 2 * side, (a[1] + b[1]) / 2 * side);
    }
    const end = stroke[stroke.length - 1];
    context.lineTo(end[0] * side, end[1] * side);
    context.stroke();
  }
  if (cursor.isShown && document.activeElement === pad) {
    context.lineWidth = side * 0.008;
    context.strokeStyle = context.fillStyle = colors.flip;
    context.beginPath();
    context.arc(cursor.x * side, cursor.y * side, side * 0.042, 0, 7);
    context.stroke();
    if (cursor.isDown) context.fill();
  }
  element('hint').hidden = strokes.length > 0 || cursor.isShown;
  element('hint').style.display = element('hint').hidden ? 'none' : '';
}

/* One frame: at most one prediction */

let isWaiting = false;
let lastFrame = 0;

function wake() {
  if (!isWaiting) {
    isWaiting = true;
    requestAnimationFrame(frame);
  }
}

function changed() {
  isDirty = true;
  wake();
}

/** Predicts what is drawn now, and shows it. */
function predict() {
  isDirty = false;
  image = render(strokes, style);
  const scores = strokes.length ? net.scores(image) : null;
  units.forEach(one => one.update(scores && one.layer.codes));
  drawSeen();
  showAnswer(scores && softmax(scores));
}

function frame(now) {
  isWaiting = false;
  const root = getComputedStyle(document.documentElement);
  const colors = Object.fromEntries(['ink', 'on', 'off', 'flip'].map(
    name => [name, root.getPropertyValue(`--${name}`)]));
  if (isDirty) predict();
  drawPad(colors);
  // A flip is seen for half a second; without motion until the next one
  const cooling = Math.min(now - lastFrame, 50) / 500;
  lastFrame = now;
  const isHot = units.map(one => {
    if (calm.matches) one.heat.fill(0);
    return one.draw(colors, cooling);
  }).some(Boolean);
  if (isHot) wake();
}

/* Pointers */

let pointer = null;

function place(event) {
  const box = pad.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top].map(
    v => Math.min(1, Math.max(0, v / box.width)));
}

pad.addEventListener('pointerdown', event => {
  if (event.button || pointer !== null) return;
  stopExample();
  pointer = event.pointerId;
  pad.setPointerCapture(pointer);
  cursor.isShown = cursor.isDown = false;
  strokes.push([place(event)]);
  changed();
});
pad.addEventListener('pointermove', event => {
  if (event.pointerId !== pointer) return;
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const one of events.length ? events : [event]) {
    strokes[strokes.length - 1].push(place(one));
  }
  changed();
});
for (const kind of ['pointerup', 'pointercancel']) {
  pad.addEventListener(kind, event => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    done();
  });
}

/** A stroke is done: the answer is said, and timed. */
function done() {
  if (isDirty) predict();
  wake();
  say();
  setTimeout(showTime, 150);
}

/* Buttons and keys */

function clear() {
  stopExample();
  strokes = [];
  cursor.isDown = false;
  isDirty = true;
  done();
}

function undo() {
  stopExample();
  strokes.pop();
  cursor.isDown = false;
  isDirty = true;
  done();
}

function stopExample() {
  cancelAnimationFrame(animation);
  animation = null;
}

/** Draws an example, as if somebody wrote it. */
function example(digit) {
  stopExample();
  cursor.isDown = false;
  const whole = EXAMPLES[digit];
  const total = whole.reduce((n, stroke) => n + stroke.length, 0);
  const start = performance.now();
  const step = now => {
    let n = calm.matches ? total : Math.min(
      total, Math.max(1, Math.round((now - start) / 900 * total)));
    const isDone = n === total;
    strokes = [];
    for (const stroke of whole) {
      if (n > 0) strokes.push(stroke.slice(0, n));
      n -= stroke.length;
    }
    animation = isDone ? null : requestAnimationFrame(step);
    changed();
    if (isDone) done();
  };
  step(start);
}

let nextExample = Math.floor(10 * Math.random());
element('clear').addEventListener('click', clear);
element('undo').addEventListener('click', undo);
element('example').addEventListener('click', () => {
  example(nextExample);
  nextExample = (nextExample + 3) % 10;
});

const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
  ArrowDown: [0, 1]};

/** Does what a key says; returns whether it says anything. */
function press(event) {
  const {key} = event;
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if (key !== 'z' || event.altKey) return false;
    undo();
  } else if (key in ARROWS) {
    const step = event.shiftKey ? 0.1 : 0.025;
    const move = (v, d) => Math.min(1, Math.max(0, v + d * step));
    cursor.isShown = true;
    cursor.x = move(cursor.x, ARROWS[key][0]);
    cursor.y = move(cursor.y, ARROWS[key][1]);
    if (cursor.isDown) {
      strokes[strokes.length - 1].push([cursor.x, cursor.y]);
    }
    changed();
  } else if (key === ' ' || key === 'Enter') {
    if (pointer !== null || event.repeat) return true;
    stopExample();
    cursor.isShown = true;
    cursor.isDown = !cursor.isDown;
    if (cursor.isDown) strokes.push([[cursor.x, cursor.y]]);
    changed();
    done();
  } else if (key === 'Backspace') {
    undo();
  } else if (key === 'Delete' || key === 'c' || key === 'C') {
    clear();
  } else if (key >= '0' && key <= '9' && key.length === 1) {
    example(Number(key));
  } else {
    return false;
  }
  return true;
}

pad.addEventListener('keydown', event => {
  if (press(event)) event.preventDefault();
});
for (const kind of ['focus', 'blur']) pad.addEventListener(kind, wake);

/* Numbers */

/**
 * Microseconds of a prediction: the median of runs of a millisecond or more,
 * as the clocks of browsers are coarse.
 */
function measure(milliseconds = 20) {
  const kept = net.hidden.map(one => one.codes.slice());
  const start = performance.now();
  const times = [];
  let n = 1, from = start, now = start;
  do {
    for (let i = 0; i < n; i++) net.scores(image);
    now = performance.now();
    if (now - from < 1) n *= 2;
    else times.push((now - from) / n);
    from = now;
  } while (now - start < milliseconds || !times.length);
  net.hidden.forEach((one, i) => one.codes.set(kept[i]));
  return 1000 * times.sort((a, b) => a - b)[times.length >> 1];
}

function size(bytes) {
  return bytes < 1e6 ? `${whole(Math.round(bytes / 1e3))} KB`
    : `${(bytes / 1e6).toFixed(1)} MB`;
}

function showTime() {
  if (pointer === null && animation === null) {
    time.textContent = `${whole(Math.round(measure()))} µs`;
  }
}

function number(name, value, note) {
  const row = document.createElement('div');
  const term = document.createElement('dt');
  const text = document.createElement('dd');
  const main = document.createElement('span');
  const small = document.createElement('small');
  term.textContent = name;
  main.textContent = value;
  small.textContent = note;
  text.append(main, small);
  row.append(term, text);
  element('numbers').append(row);
  return main;
}

const bits = [...new Set(net.layers.map(one => one.bits))];
const isBinary = bits.length === 1 && bits[0] === 1;
number('Model', size(net.bytes), `1/${
  (net.floatBytes / net.bytes).toFixed(0)} of ${
  size(net.floatBytes)} in float32`);
const time = number('One prediction', '…', `measured here, in ${
  net.counter.isCompiled ? 'WebAssembly' : 'JavaScript'}`);
number('Weights', whole(net.weights), isBinary ? 'one bit each'
  : `${bits.join(' and ')} bits each`);
if (typeof net.facts.test_accuracy === 'number') {
  number('Accuracy', `${(100 * net.facts.test_accuracy).toFixed(2)} %`,
    'on its test images');
}
element('about').textContent = `A ${net.sizes.join('-')} perceptron with ${
  isBinary ? 'one-bit weights' : `weights of ${bits.join(' and ')} bits`
}. It runs in this page, by XNOR and popcount; nothing is sent anywhere.`;
const isAllBits = isBinary && net.hidden.every(
  one => one.result.levels === 2);
element('how').textContent = (isAllBits
  ? 'The sum of a unit is counted: the bits in which weights and inputs agree '
    + 'less those in which they do not. Where it reaches the unit’s threshold '
    + 'the next layer gets +1, else −1.'
  : 'Weights and units are cut into planes of one bit. The sum of a unit is '
    + 'counted: the bits in which two planes differ, each plane with its '
    + 'place value. Thresholds make bits or levels of it.')
  + ' Batch normalization and bias are in the thresholds'
  + (net.signs ? '.' : '; the pixels are 8 planes of bits.');

/* Start */

const relayout = new ResizeObserver(() => {
  units.forEach(one => one.resize());
  wake();
});
relayout.observe(document.body);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', wake);
done();

// For tests and the curious: the same as the page does
window.bnn = {
  net, measure, clear, example,
  draw(lines) {
    stopExample();
    strokes = lines.map(stroke => stroke.map(p => [...p]));
    isDirty = true;
    done();
  },
  get image() {
    if (isDirty) predict();
    return Array.from(image);
  },
  get strokes() { return strokes; },
  scores: pixels => Array.from(net.scores(Uint8Array.from(pixels))),
  get hidden() { return net.hidden.map(one => Array.from(one.codes)); },
};
