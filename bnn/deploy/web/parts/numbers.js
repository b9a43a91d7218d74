// Size, time and accuracy.

/**
 * Microseconds of a prediction: the median of runs of a millisecond or more,
 * as the clocks of browsers are coarse.
 */
function measure(milliseconds = 20) {
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

/* What the weights take, layers of as many bits together */

const bitCounts = new Map();
for (const {bits, filters, inputs} of net.layers) {
  bitCounts.set(bits, (bitCounts.get(bits) || 0) + filters * inputs);
}
const kinds = [...bitCounts].sort((a, b) => b[1] - a[1]);
const isOneKind = kinds.length === 1;
const isBinary = isOneKind && kinds[0][0] === 1;
const bitWords = bits => bits === 32 ? '32-bit floats'
  : bits === 1 ? 'one bit each' : `${bits} bits each`;
const inWords = list => list.length < 2 ? list.join('')
  : `${list.slice(0, -1).join(', ')} and ${list[list.length - 1]}`;

const ratio = Math.round(net.floatBytes / net.bytes);
number('Model', size(net.bytes), ratio > 1
  ? `1/${ratio} of ${size(net.floatBytes)} in float32` : 'in float32');
const isCompiled = net.layers.map(one => one.by.isCompiled);
const time = number('One prediction', '…', `measured here, in ${inWords([
  ...isCompiled.includes(true) ? ['WebAssembly'] : [],
  ...isCompiled.includes(false) ? ['JavaScript'] : []])}`);
number('Weights', whole(net.weights), isOneKind ? bitWords(kinds[0][0])
  : inWords(kinds.map(([bits, n]) => `${whole(n)} of ${
    bits === 1 ? 'one bit' : `${bits} bits`}`)));
if (typeof net.facts.test_accuracy === 'number') {
  number('Accuracy', `${(100 * net.facts.test_accuracy).toFixed(2)} %`,
    'on its test images');
}
