// The net in words.

/** What it is, and how it computes. */
function about() {
  const isImage = net.layers.some(one => one.isConvolution);
  const sizes = net.layers.map(
    ({isConvolution, filters, stage: {weights: {shape}}}) => isConvolution
      ? `${filters} of ${shape[3]}×${shape[2]}` : filters);
  const weights = inWords(kinds.map(([bits]) => bits).sort((a, b) => a - b)
    .map(bits => ({1: 'one-bit', 32: 'float'}[bits] || `${bits}-bit`)));
  const operations = inWords([
    ...net.layers.some(one => one.isCounted) ? ['XNOR', 'popcount'] : [],
    ...net.layers.every(one => one.isCounted) ? [] : ['float arithmetic']]);
  return `A ${isImage ? `convolutional net (${sizes.join(', ')})`
    : `${[net.layers[0].inputs, ...sizes].join('-')} perceptron`} with ${
    weights} weights. It runs in this page, by ${operations
  }; nothing is sent anywhere.`;
}

/** How its sums are made, in sentences. */
function explain() {
  const found = [];
  const counted = net.layers.filter(one => one.isCounted);
  const isPlain = counted.every(({bits, stage: {operand}}) => bits === 1
    && operand !== 'levels');
  const results = counted.map(one => one.stage.result);
  const isOfPixels = net.layers[0].stage.operand === 'pixels';
  if (counted.length && isPlain) {
    found.push('The sum of a unit is counted: the bits in which weights and '
      + 'inputs agree less those in which they do not.');
  } else if (counted.length) {
    found.push('Weights and units are cut into planes of one bit. The sum of '
      + 'a unit is counted: the bits in which two planes differ, each plane '
      + 'with its place value.');
  }
  if (results.includes('levels')) {
    found.push('Thresholds make bits or levels of it.');
  } else if (results.includes('bits')) {
    found.push('Where it reaches the unit’s threshold the next layer gets '
      + '+1, else −1.');
  }
  if (results.some(one => one !== 'float')) {
    found.push('Batch normalization and bias are in the thresholds.');
  }
  if (isOfPixels) found.push('The pixels are 8 planes of bits.');
  if (net.layers.some(one => one.by instanceof SubsetSums)) {
    found.push('Where units are floats the weights stay packed: 8 bits of '
      + 'them look up the sum of the units that they select.');
  }
  if (net.layers.some(one => one.bits === 32)) {
    found.push(counted.length
      ? 'Layers of float weights are multiplied and added.'
      : 'Floats are multiplied and added.');
  }
  return found.join(' ');
}

element('about').textContent = about();
element('how').textContent = explain();
