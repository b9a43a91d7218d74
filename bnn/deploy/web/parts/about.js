// The net in words and numbers.

const inWords = list => list.length < 2 ? list.join('')
  : `${list.slice(0, -1).join(', ')} and ${list[list.length - 1]}`;

/* What the weights take, layers of as many bits together */

const bitCounts = new Map();
for (const {bits, filters, inputs} of net.layers) {
  bitCounts.set(bits, (bitCounts.get(bits) || 0) + filters * inputs);
}
const kinds = [...bitCounts].sort((a, b) => b[1] - a[1]);
const bitWords = bits => ({1: 'one bit', 32: '32-bit floats'}[bits]
  || `${bits} bits`);

// A net of more layers has them counted, not listed.
const MOST_LISTED = 5;

/** What it is, and how it computes. */
function about() {
  const isImage = net.layers.some(one => one.isConvolution);
  const sizes = net.layers.map(
    ({isConvolution, filters, stage: {weights: {shape}}}) => isConvolution
      ? `${filters} of ${shape[3]}×${shape[2]}` : filters);
  return `A ${isImage ? `convolutional net ${sizes.length > MOST_LISTED
    ? `of ${sizes.length} layers` : `(${sizes.join(', ')})`}`
    : `${[net.layers[0].inputs, ...sizes].join('-')} perceptron`} with ${
    inWords(kinds.map(([bits]) => bits === 32 ? 'float' : `${bits}-bit`))
  } weights. It runs in this page; nothing is sent anywhere.`;
}

/** How its sums are made, in sentences. */
function explain() {
  const counted = net.layers.filter(one => one.isCounted);
  const results = net.layers.map(one => one.stage.result);
  const isFolded = results.some(one => one !== 'float');
  return [
    counted.length ? 'Between bits a sum is counted, by XNOR and popcount: '
      + 'the bits in which weights and units agree less those in which they '
      + 'do not.' : '',
    counted.length < net.layers.length ? `${counted.length ? 'Other sums'
      : 'Sums'} are multiplied and added.` : '',
    results.includes('levels') ? 'Thresholds make bits or levels of them.'
      : isFolded ? 'Where a sum reaches the unit’s threshold the next layer '
        + 'gets +1, else −1.' : '',
    isFolded ? 'Batch normalization and bias are in the thresholds.' : '',
    net.hasBranches ? 'Shortcuts add floats of earlier layers.' : '',
  ].filter(Boolean).join(' ');
}

element('about').textContent = about();
element('how').textContent = explain();

function number(name, value, note) {
  const row = document.createElement('div');
  const [term, text, main, small] = ['dt', 'dd', 'span', 'small'].map(
    tag => document.createElement(tag));
  term.textContent = name;
  main.textContent = value;
  small.textContent = note;
  text.append(main, small);
  row.append(term, text);
  element('numbers').append(row);
  return main;
}

const size = bytes => bytes < 1e6 ? `${whole(Math.round(bytes / 1e3))} KB`
  : `${(bytes / 1e6).toFixed(1)} MB`;
const ratio = Math.round(net.floatBytes / net.bytes);
number('Model', size(net.bytes), ratio > 1
  ? `1/${ratio} of ${size(net.floatBytes)} in float32` : 'in float32');
const time = number('One prediction', '…', 'measured here');
number('Weights', whole(net.weights), inWords(kinds.map(([bits, n]) =>
  `${kinds.length > 1 ? `${whole(n)} of ` : ''}${bitWords(bits)}`)));
if (typeof net.facts.test_accuracy === 'number') {
  number('Accuracy', `${(100 * net.facts.test_accuracy).toFixed(2)} %`,
    'on its test images');
}

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

function showTime() {
  const microseconds = taken > 100 ? 1000 * taken : measure();
  time.textContent = microseconds < 1e4
    ? `${whole(Math.round(microseconds))} µs`
    : `${whole(Math.round(microseconds / 1000))} ms`;
}
