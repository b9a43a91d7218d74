// Sums by float weights, as those of sums.js.

/**
 * Sums by float weights: added in float64, rounded to float32. In WebAssembly
 * where it has vectors, else (those are younger) in JavaScript.
 */
class FloatSums {
  /**
   * @param {object} weights Of the file, of 32 bits.
   * @param {?{low: number, step: number}} codes The operands', if not floats.
   * @param {?WebAssembly.Module} module products.wasm.
   */
  constructor({shape, data}, codes, module) {
    this.filters = shape[0];
    this.inputs = product(shape.slice(1));
    this.low = codes ? codes.low : 0;
    this.step = codes ? codes.step : 1;
    try {
      this.load(data, module);
      this.isCompiled = true;
    } catch {
      this.isCompiled = false;
      this.weights = data;
      this.operands = new Float64Array(this.inputs);
      this.places = new Int32Array(this.inputs);
      this.sums = new Float64Array(this.filters);
    }
  }

  /** Copies the weights into a memory of WebAssembly's, rows of 8 and 8. */
  load(data, module) {
    const {inputs, filters} = this;
    const width = 8 * Math.ceil(inputs / 8);
    const end = 4 * width * filters;
    const memory = new WebAssembly.Memory({
      initial: Math.ceil((end + 8 * (width + filters)) / 65536)});
    const instance = new WebAssembly.Instance(module, {js: {memory}});
    const {multiply} = instance.exports;
    const weights = new Float32Array(memory.buffer, 0, width * filters);
    for (let f = 0; f < filters; f++) {
      weights.set(data.subarray(f * inputs, (f + 1) * inputs), f * width);
    }
    this.operands = new Float64Array(memory.buffer, end, width);
    this.sums = new Float64Array(memory.buffer, end + 8 * width, filters);
    this.compute = () => multiply(
      0, end, width, filters, this.sums.byteOffset);
  }

  /** Of floats or codes. */
  multiply(values) {
    const {inputs, operands, low, step} = this;
    if (!this.isCompiled) {
      this.multiplyInScript(values);
      return;
    }
    for (let k = 0; k < inputs; k++) operands[k] = low + step * values[k];
    this.compute();
  }

  multiplyInScript(values) {
    const {inputs, filters, weights, operands, places, low, step, sums} = this;
    // Black pixels and idle units are passed over.
    let n = 0;
    for (let k = 0; k < inputs; k++) {
      const x = low + step * values[k];
      if (x !== 0) {
        operands[n] = x;
        places[n++] = k;
      }
    }
    for (let f = 0, row = 0; f < filters; f++, row += inputs) {
      // Four sums, since one addition would wait for the other
      let a = 0, b = 0, c = 0, d = 0, k = 0;
      for (; k + 4 <= n; k += 4) {
        a += weights[row + places[k]] * operands[k];
        b += weights[row + places[k + 1]] * operands[k + 1];
        c += weights[row + places[k + 2]] * operands[k + 2];
        d += weights[row + places[k + 3]] * operands[k + 3];
      }
      for (; k < n; k++) a += weights[row + places[k]] * operands[k];
      sums[f] = Math.fround((a + b) + (c + d));
    }
  }
}

/** Compiles WebAssembly; returns null where there is none of that sort. */
function compile(code) {
  try {
    return new WebAssembly.Module(code);
  } catch {
    return null;
  }
}
