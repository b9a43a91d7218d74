// Sums of weights times operands. Each way has `multiply(operands)`, which
// leaves one sum for each filter in `sums`, and says whether WebAssembly does
// it.

/**
 * Sums of whole numbers, counted in bits.
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
class CountedSums {
  /**
   * @param {object} weights Of the file: [filters, inputs].
   * @param {{low: number, step: number, bits: number}} codes The operands'.
   * @param {Counter} counter Where the bits are.
   */
  constructor({shape, bits, low, step, data}, codes, counter) {
    this.filters = shape[0];
    this.inputs = product(shape.slice(1));
    this.bits = bits;
    this.codes = codes;
    this.counter = counter;
    this.words = CountedSums.words(this.inputs);
    this.isCompiled = counter.isCompiled;
    this.planes = counter.take(this.filters * bits * this.words);
    this.operandPlanes = counter.take(codes.bits * this.words);
    this.counts = counter.take(this.filters);
    this.sums = new Float64Array(this.filters);
    this.base = new Float64Array(this.filters);
    this.gain = step * codes.step / 2;
    this.slope = low * codes.step + this.gain * (2 ** bits - 1);
    const perCode = step * codes.low + this.gain * (2 ** codes.bits - 1);
    const rowBytes = data.length / this.filters;
    for (let f = 0; f < this.filters; f++) {
      let total = 0;
      for (let i = 0; i < bits; i++) {
        const plane = (f * bits + i) * this.words;
        for (let k = 0, at = i; k < this.inputs; k++, at += bits) {
          const bit = data[f * rowBytes + (at >> 3)] >> (at & 7) & 1;
          this.planes[plane + (k >> 5)] |= bit << (k & 31);
          total += bit * 2 ** i;
        }
      }
      this.base[f] = low * codes.low * this.inputs + perCode * total;
    }
  }

  /** 32-bit words of a plane, two and two together. */
  static words(inputs) {
    return 2 * Math.ceil(inputs / 64);
  }

  /** Bytes in the memory of a Counter, if operands have 18 bits: the most. */
  static bytes({shape, bits}) {
    return 4 * (CountedSums.words(product(shape.slice(1)))
      * (shape[0] * bits + 18) + shape[0] + 1);
  }

  /** Of codes. */
  multiply(operands) {
    const {words, planes, operandPlanes, codes, counts, base} = this;
    let total = 0;
    operandPlanes.fill(0);
    for (let k = 0; k < this.inputs; k++) {
      const code = operands[k];
      total += code;
      for (let j = 0; j < codes.bits; j++) {
        operandPlanes[j * words + (k >> 5)] |= (code >> j & 1) << (k & 31);
      }
    }
    this.counter.count(
      planes.byteOffset, operandPlanes.byteOffset, words / 2, this.bits,
      codes.bits, this.filters, counts.byteOffset);
    const slope = this.slope * total;
    for (let f = 0; f < this.filters; f++) {
      this.sums[f] = base[f] + slope - this.gain * (counts[f] >>> 0);
    }
  }
}

/**
 * Sums of floats by packed weights, which stay packed.
 *
 * Whatever byte of weights there is, the operands that its ones select have
 * one of 256 sums: a table of them is made for each 8 bits of a filter, and
 * a look-up takes the place of 8 additions. A bit of k-bit weights selects
 * the operand times its place value.
 */
class SubsetSums {
  /** @param {object} weights Of the file, of less than 32 bits. */
  constructor({shape, bits, low, step, data}) {
    const [filters] = shape;
    Object.assign(this, {filters, bits, low, step, isCompiled: false});
    this.inputs = product(shape.slice(1));
    this.rowBytes = data.length / filters;
    // Byte by byte the filters, as they are looked up
    this.columns = new Uint8Array(data.length);
    for (let f = 0; f < filters; f++) {
      for (let b = 0; b < this.rowBytes; b++) {
        this.columns[b * filters + f] = data[f * this.rowBytes + b];
      }
    }
    this.table = new Float64Array(256);
    this.sums = new Float64Array(filters);
  }

  /** Of floats; the sums are rounded to float32. */
  multiply(operands) {
    const {filters, bits, inputs, columns, table, sums} = this;
    let total = 0;
    for (let k = 0; k < inputs; k++) total += operands[k];
    sums.fill(0);
    for (let b = 0; b < this.rowBytes; b++) {
      for (let i = 0, half = 1; i < 8; i++, half *= 2) {
        const at = 8 * b + i;
        const k = Math.floor(at / bits);
        const one = k < inputs ? operands[k] * 2 ** (at % bits) : 0;
        for (let v = 0; v < half; v++) table[half + v] = table[v] + one;
      }
      for (let f = 0, at = b * filters; f < filters; f++, at++) {
        sums[f] += table[columns[at]];
      }
    }
    for (let f = 0; f < filters; f++) {
      sums[f] = Math.fround(this.low * total + this.step * sums[f]);
    }
  }
}
