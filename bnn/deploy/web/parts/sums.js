// Sums of weights times operands. `multiply(operands)` leaves one sum for
// each filter in `sums`; of whole numbers it is exact either way.

/** Sums of one-bit weights and bits: n - 2 D, where D of n bits differ. */
class CountedSums {
  /** @param {object} weights Of the file. */
  constructor({shape, data}) {
    [this.filters] = shape;
    this.inputs = product(shape.slice(1));
    this.words = Math.ceil(this.inputs / 32);
    this.weights = new Int32Array(this.filters * this.words);
    this.operands = new Int32Array(this.words);
    this.sums = new Float64Array(this.filters);
    const bytes = new Uint8Array(this.weights.buffer);
    const n = data.length / this.filters;
    for (let f = 0; f < this.filters; f++) {
      bytes.set(data.subarray(f * n, (f + 1) * n), 4 * f * this.words);
    }
  }

  /** Of 0 and 1, for -1 and +1. */
  multiply(bits) {
    const {weights, operands, words, sums, inputs} = this;
    operands.fill(0);
    for (let k = 0; k < inputs; k++) operands[k >> 5] |= bits[k] << (k & 31);
    for (let f = 0, at = 0; f < sums.length; f++) {
      let different = 0;
      for (let i = 0; i < words; i++, at++) {
        different += popcount(weights[at] ^ operands[i]);
      }
      sums[f] = inputs - 2 * different;
    }
  }
}

/** How many of 32 bits are 1. */
function popcount(v) {
  v = v - (v >>> 1 & 0x55555555) | 0;
  v = (v & 0x33333333) + (v >>> 2 & 0x33333333);
  return Math.imul(v + (v >>> 4) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Sums of any other weights and operands, in float64. */
class AddedSums {
  /**
   * @param {object} weights Of the file.
   * @param {?{low: number, step: number}} codes The operands', if not floats.
   */
  constructor({shape, bits, low, step, data}, codes) {
    const [filters] = shape;
    this.inputs = product(shape.slice(1));
    this.low = codes ? codes.low : 0;
    this.step = codes ? codes.step : 1;
    this.sums = new Float64Array(filters);
    // Operand after operand the weights of the filters
    this.weights = new Float32Array(this.inputs * filters);
    const n = data.length / filters;
    for (let f = 0; f < filters; f++) {
      for (let k = 0, at = 8 * f * n; k < this.inputs; k++) {
        let code = 0;
        for (let i = 0; i < bits && bits < 32; i++, at++) {
          code |= (data[at >> 3] >> (at & 7) & 1) << i;
        }
        this.weights[k * filters + f] = bits === 32 ? data[f * n + k]
          : low + step * code;
      }
    }
  }

  /** Of codes or floats. */
  multiply(values) {
    const {weights, sums, low, step} = this;
    const n = sums.length;
    sums.fill(0);
    for (let k = 0; k < this.inputs; k++) {
      const x = low + step * values[k];
      if (x === 0) continue; // Black pixels and idle units
      for (let f = 0, at = k * n; f < n; f++, at++) sums[f] += weights[at] * x;
    }
  }
}
