// Size, time, accuracy, and the net in words.

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
