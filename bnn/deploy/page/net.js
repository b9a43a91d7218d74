// The packed net: reads the .bnn file and computes it, in whole numbers.
//
// As bnn/deploy does: docs/packed_format.md describes the file, and the
// scores are the same to the last bit.

/**
 * The file, as it is read from its bytes.
 *
 * @param {Uint8Array} bytes The file, from the first byte of its buffer on.
 * @returns {object} Its JSON, with arrays in place of their numbers.
 */
function readPacked(bytes) {
  const HEADER = 32;
  const types = {'<f4': Float32Array, '<i4': Int32Array,
    '<i8': BigInt64Array, '|u1': Uint8Array, '|b1': Uint8Array};
  const view = new DataView(bytes.buffer);
  const start = HEADER + view.getUint32(12, true);
  const description = JSON.parse(
    new TextDecoder().decode(bytes.subarray(HEADER, start)));
  const arrays = description.arrays.map(({dtype, shape, offset}) =>
    new types[dtype](bytes.buffer, start + offset,
      shape.reduce((a, b) => a * b, 1)));
  const resolve = value => {
    if (value === null || typeof value !== 'object') return value;
    if (Array.isArray(value)) return value.map(resolve);
    if ('array' in value) return arrays[value.array];
    return Object.fromEntries(Object.entries(value).map(
      ([name, one]) => [name, resolve(one)]));
  };
  return resolve(description);
}

/** How many bits are needed to tell so many codes from 0 up apart. */
const bitsFor = codes => Math.max(1, Math.ceil(Math.log2(codes)));

/** The codes that a layer gives; null of the last one, which gives floats. */
function resultCodes({result, low, high}) {
  if (result === 'bits') return {low: -1, step: 2, bits: 1, levels: 2};
  if (result === 'float') return null;
  const levels = high - low + 1;
  return {low, step: 1, bits: bitsFor(levels), levels};
}

/**
 * A linear layer.
 *
 * Operands and weights are `low + step * code`, their codes cut into planes
 * of one bit each. With D[i][j] the number of ones in (plane i of the weights
 * XOR plane j of the operands), and Q and W the sums of the codes,
 *
 *   sum of w q = base + slope Q - gain * (sum of 2^(i + j) D[i][j])
 *
 * where `base` is known for each filter beforehand. For one-bit weights and
 * operands that is n - 2 D, the sum by XNOR and popcount.
 */
class Layer {
  /**
   * @param {object} product The stage of the file.
   * @param {{low: number, step: number, bits: number}} operand Its codes.
   * @param {Counter} counter Where its bits are.
   */
  constructor(product, operand, counter) {
    const {shape, bits, low, step, data} = product.weights;
    [this.filters, this.inputs] = shape;
    this.product = product;
    this.operand = operand;
    this.bits = bits;
    this.counter = counter;
    this.words = Layer.words(this.inputs);
    this.planes = counter.take(this.filters * bits * this.words);
    this.operandPlanes = counter.take(operand.bits * this.words);
    this.counts = counter.take(this.filters);
    this.sums = new Float64Array(this.filters);
    this.base = new Float64Array(this.filters);
    this.gain = step * operand.step / 2;
    this.slope = low * operand.step + this.gain * (2 ** bits - 1);
    const perCode = step * operand.low + this.gain * (2 ** operand.bits - 1);
    const rowBytes = data.length / this.filters;
    for (let f = 0; f < this.filters; f++) {
      let codes = 0;
      for (let i = 0; i < bits; i++) {
        const plane = (f * bits + i) * this.words;
        for (let k = 0, at = i; k < this.inputs; k++, at += bits) {
          const bit = data[f * rowBytes + (at >> 3)] >> (at & 7) & 1;
          this.planes[plane + (k >> 5)] |= bit << (k & 31);
          codes += bit * 2 ** i;
        }
      }
      this.base[f] = low * operand.low * this.inputs + perCode * codes;
    }
    this.result = resultCodes(product);
    this.codes = this.result && new Int32Array(this.filters);
  }

  /** 32-bit words of a plane, two and two together. */
  static words(inputs) {
    return 2 * Math.ceil(inputs / 64);
  }

  /** Bytes of a layer in the memory of a Counter. */
  static bytes({weights}, operand) {
    const [filters, inputs] = weights.shape;
    return 4 * (Layer.words(inputs) * (filters * weights.bits + operand.bits)
      + filters + 1);
  }

  /** Computes `sums` of the codes of an example. */
  multiply(codes) {
    const {words, planes, operandPlanes, operand, counts, base} = this;
    let total = 0;
    operandPlanes.fill(0);
    for (let k = 0; k < this.inputs; k++) {
      const code = codes[k];
      total += code;
      for (let j = 0; j < operand.bits; j++) {
        operandPlanes[j * words + (k >> 5)] |= (code >> j & 1) << (k & 31);
      }
    }
    this.counter.count(
      planes.byteOffset, operandPlanes.byteOffset, words / 2, this.bits,
      operand.bits, this.filters, counts.byteOffset);
    const slope = this.slope * total;
    for (let f = 0; f < this.filters; f++) {
      this.sums[f] = base[f] + slope - this.gain * (counts[f] >>> 0);
    }
  }

  /** Returns the codes of the result: bits, or levels from the least on. */
  quantize() {
    const {result, thresholds, low, high} = this.product;
    const {sums, codes} = this;
    const n = codes.length;
    if (result === 'bits') {
      for (let f = 0; f < n; f++) codes[f] = sums[f] >= thresholds[f] ? 1 : 0;
    } else if (thresholds) {
      const each = high - low;
      for (let f = 0; f < n; f++) {
        let level = 0;
        for (let t = f * each; t < (f + 1) * each; t++) {
          level += sums[f] >= thresholds[t] ? 1 : 0;
        }
        codes[f] = level;
      }
    } else {
      const {multiplier, addend} = this.product;
      const shift = BigInt(this.product.shift);
      for (let f = 0; f < n; f++) {
        const level = Number(
          BigInt(sums[f]) * multiplier[f] + addend[f] >> shift);
        codes[f] = Math.min(Math.max(level, low), high) - low;
      }
    }
    return codes;
  }

  /** Returns the scores, each operation rounded to float32. */
  scores() {
    const {scale, offset} = this.product;
    return Float32Array.from(this.sums, (s, f) => Math.fround(
      Math.fround(Math.fround(s) * scale[f]) + offset[f]));
  }
}

/** A packed net, ready to predict. */
class Net {
  /**
   * @param {Uint8Array} bytes The file.
   * @param {Uint8Array} code popcount.wasm.
   */
  constructor(bytes, code) {
    const file = readPacked(bytes);
    this.bytes = bytes.length;
    this.classNames = file.class_names;
    this.facts = file.facts;
    this.signs = file.stages.some(one => one.stage === 'pixel_signs');
    const products = file.stages.filter(one => one.stage === 'product');
    const operands = products.map((product, i) => {
      if (i) return resultCodes(products[i - 1]);
      if (this.signs) return {low: -1, step: 2, bits: 1};
      const [step, low] = product.pixel_map;
      return {low, step, bits: 8};
    });
    this.counter = new Counter(products.reduce((n, product, i) =>
      n + Layer.bytes(product, operands[i]), 64), code);
    this.layers = products.map((product, i) =>
      new Layer(product, operands[i], this.counter));
    this.floatBytes = this.layers.reduce(
      (n, layer) => n + layer.product.float_bytes, 0);
    this.weights = this.layers.reduce(
      (n, layer) => n + layer.filters * layer.inputs, 0);
    this.hidden = this.layers.slice(0, -1);
  }

  /** Sizes of the layers, the image first. */
  get sizes() {
    return [this.layers[0].inputs, ...this.layers.map(one => one.filters)];
  }

  /**
   * Computes the class scores. The hidden units are in `hidden[i].codes`
   * then.
   *
   * @param {Uint8Array} image The pixels, row by row, light on dark.
   * @returns {Float32Array} A score for each class.
   */
  scores(image) {
    let codes = image;
    if (this.signs) codes = Uint8Array.from(image, p => p >= 128 ? 1 : 0);
    for (const layer of this.hidden) {
      layer.multiply(codes);
      codes = layer.quantize();
    }
    const last = this.layers[this.layers.length - 1];
    last.multiply(codes);
    return last.scores();
  }
}

/** Softmax of scores. */
function softmax(scores) {
  const largest = Math.max(...scores);
  const powers = Array.from(scores, s => Math.exp(s - largest));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map(p => p / total);
}

/** The first index of the largest value. */
const argmax = values => values.indexOf(Math.max(...values));
