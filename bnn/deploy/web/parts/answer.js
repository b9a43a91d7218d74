// The page: strokes in, what the net makes of them out.

const element = id => document.getElementById(id);
const net = new Net(fromBase64(element('net').textContent));
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

/* The picture that the net sees, and its answer */

const seen = element('seen');
seen.width = seen.height = SIZE;

function drawSeen() {
  const context = seen.getContext('2d');
  const pixels = context.createImageData(SIZE, SIZE);
  image.forEach((grey, i) => {
    const ink = !net.signs ? grey : grey >= 128 ? 255 : 0;
    pixels.data.set([ink, ink, ink, 255], 4 * i);
  });
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
    stroke.forEach(([x, y], i) => {
      const [nextX, nextY] = stroke[i + 1] || [x, y];
      context.quadraticCurveTo(x * side, y * side,
        (x + nextX) / 2 * side, (y + nextY) / 2 * side);
    });
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
  element('hint').style.display
    = strokes.length || cursor.isShown ? 'none' : '';
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
  units.forEach(one => one.update(scores && one.layer.step.out));
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
