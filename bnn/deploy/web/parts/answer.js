// The page: what the net makes of its input.
//
// `input` is where the images come from, strokes or pictures:
// `isEmpty()` tells whether there is nothing yet, `nothing` says so;
// `image()` returns the pixels that the net sees, channel after channel;
// `paint(colors)` draws what is given.

const element = id => document.getElementById(id);
const net = new Net(fromBase64(element('net').textContent));
const pad = element('pad');
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const whole = new Intl.NumberFormat('en').format;
const percent = p => `${(100 * p).toFixed(p > 0.9995 || p < 0.0005 ? 0 : 1)} %`;

/* The image that the net sees, and its answer */

let image = null;
const seen = element('seen');
[, seen.height, seen.width] = net.inputShape;
seen.style.aspectRatio = `${seen.width} / ${seen.height}`;
element('size').textContent = `${seen.width}×${seen.height}`;

function drawSeen() {
  const context = seen.getContext('2d');
  const pixels = context.createImageData(seen.width, seen.height);
  const size = seen.width * seen.height;
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) {
      const value = image[(c * size + i) % image.length];
      pixels.data[4 * i + c] = !net.signs ? value : value >= 128 ? 255 : 0;
    }
    pixels.data[4 * i + 3] = input.isEmpty() ? 0 : 255;
  }
  context.putImageData(pixels, 0, 0);
}

// Names go in rows; of many classes the likeliest are shown.
const isInRows = net.classNames.some(name => name.length > 2);
const ROWS = 10, MOST = 20;
const isRanked = net.classNames.length > MOST;
element('bars').classList.toggle('rows', isInRows);
const bars = net.classNames.slice(0, isRanked ? ROWS : MOST).map(() => {
  const item = document.createElement('li');
  const [label, track, name, bar] = ['percent', 'track', 'name', 'bar'].map(
    className => Object.assign(document.createElement('span'), {className}));
  track.append(bar);
  item.append(label, track, name);
  element('bars').append(item);
  return {item, bar, label, name};
});

function showAnswer(probabilities) {
  const best = probabilities ? argmax(probabilities) : -1;
  const name = element('class');
  name.textContent = probabilities ? net.classNames[best] : '?';
  name.classList.toggle('none', !probabilities);
  name.classList.toggle('word', isInRows);
  name.style.setProperty('--length', name.textContent.length);
  element('sure').textContent = probabilities
    ? percent(probabilities[best]) : input.nothing;
  const order = [...net.classNames.keys()];
  if (isRanked && probabilities) {
    order.sort((a, b) => probabilities[b] - probabilities[a]);
  }
  bars.forEach((one, i) => {
    const which = order[i];
    const p = probabilities ? probabilities[which] : 0;
    one.name.textContent = one.name.title = net.classNames[which];
    one.bar.style.setProperty('--share', p);
    one.label.textContent = probabilities ? (100 * p).toFixed(0) : '';
    one.item.classList.toggle('first', which === best);
    one.item.setAttribute('aria-label',
      `${net.classNames[which]}: ${percent(p)}`);
  });
}

/** Says the answer to a screen reader, once the input is complete. */
function say() {
  const words = input.isEmpty() ? 'Cleared'
    : `${element('class').textContent}, ${element('sure').textContent}`;
  if (element('spoken').textContent !== words) {
    element('spoken').textContent = words;
  }
}

/* Hidden units */

// Beside the pad, unless they are many
pad.closest('main').classList.toggle('wide', net.hidden.length <= 2);
const units = net.hidden.map((layer, i) => new Units(layer, i + 1));

/* Predictions: some milliseconds a frame, so that no net stops the page */

const SLICE = 12;
let isDirty = true; // The input has changed.
let isComplete = false; // The answer is to be said and timed.
let running = null; // A prediction that is not done
let taken = 0; // Milliseconds that it took
let timer = null;

function changed() {
  isDirty = true;
  isComplete = false;
  clearTimeout(timer);
  wake();
}

/** The input is complete for now, such as after a stroke. */
function done() {
  isComplete = true;
  predict(SLICE);
  wake();
}

const isPredicting = () => isDirty || running !== null;

/** Computes for some milliseconds, and shows what is done. */
function predict(milliseconds) {
  const start = performance.now();
  if (isDirty && !running) {
    isDirty = false;
    image = input.image();
    drawSeen();
    running = net.run(image);
    taken = 0;
  }
  while (running) {
    const from = performance.now();
    const {done: isDone, value: scores} = running.next();
    const now = performance.now();
    taken += now - from;
    if (isDone) {
      running = null;
      showScores(input.isEmpty() ? null : scores);
    } else if (now - start >= milliseconds) {
      element('sure').textContent = 'computing …';
      break;
    }
  }
  if (isComplete && !isPredicting()) {
    isComplete = false;
    say();
    timer = setTimeout(showTime, 150);
  }
}

function showScores(scores) {
  units.forEach(one => one.update(scores && one.layer.step.out));
  showAnswer(scores && softmax(scores));
}

/* Frames */

let isWaiting = false;
let lastFrame = 0;

function wake() {
  if (!isWaiting) {
    isWaiting = true;
    requestAnimationFrame(frame);
  }
}

function frame(now) {
  isWaiting = false;
  const root = getComputedStyle(document.documentElement);
  const colors = Object.fromEntries(['ink', 'on', 'off', 'flip'].map(
    name => [name, root.getPropertyValue(`--${name}`)]));
  if (isPredicting()) predict(SLICE);
  input.paint(colors);
  // A flip is seen for half a second; without motion until the next one
  const cooling = Math.min(now - lastFrame, 50) / 500;
  lastFrame = now;
  const isHot = units.map(one => {
    if (calm.matches) one.heat.fill(0);
    return one.draw(colors, cooling);
  }).some(Boolean);
  if (isHot || isPredicting()) wake();
}
