// The stages between the layers, as bnn/deploy/reference.py defines them.
//
// A value is an array, of an image (channels, h, w): codes, or floats that
// each operation rounds to float32.

const {fround} = Math;

/**
 * What operations do to one float: functions of the stage that return a
 * function of the float and its channel. What they return is rounded.
 */
const ELEMENTS = {
  Rescale({kind, mean, std}) {
    if (kind === 'signed') return p => fround(p / 127.5) - 1;
    if (kind === 'unit') return p => p / 255;
    const [means, deviations] = [mean, std].map(fround32);
    return (p, c) => fround(fround(p / 255) - means[c % means.length])
      / deviations[c % means.length];
  },
  BatchNormalization({gamma, beta, mean, var: variance, eps}) {
    const factor = Float32Array.from(variance, v => 1 / Math.sqrt(v + eps));
    return (x, c) => fround(
      gamma[c] * fround(fround(x - mean[c]) * factor[c])) + beta[c];
  },
  Bias: ({b}) => (x, c) => x + b[c],
  ReLU: () => x => Math.max(x, 0),
  RPReLU: ({gamma, zeta, beta}) => (x, c) => {
    const above = fround(x - gamma[c]);
    return (above > 0 ? above : fround(beta[c] * above)) + zeta[c];
  },
  Clip: ({low, high}) => x => Math.min(Math.max(x, low), high),
  /* These two give codes. */
  Sign: ({shift}) => shift ? (x, c) => fround(x - shift[c]) >= 0 ? 1 : 0
    : x => x >= 0 ? 1 : 0,
  Quantize({n, low, high}) {
    const [bottom, top, factor] = fround32([low, high, n]);
    const least = Math.round(low * n);
    return x => roundToEven(
      fround(Math.min(Math.max(x, bottom), top) * factor)) - least;
  },
};

const fround32 = values => Float32Array.from(values);

/** Rounds to a whole number, a tie to the even one, as NumPy does. */
function roundToEven(x) {
  const below = Math.floor(x);
  const rest = x - below;
  return below + (rest > 0.5 || rest === 0.5 && below % 2 ? 1 : 0);
}

/** An operation on each value by itself. */
class Elements {
  constructor(operation, shape, codes) {
    this.codes = codes;
    this.operate = ELEMENTS[operation.operation](operation);
    this.places = product(shape.slice(1));
    this.out = new (codes ? Int32Array : Float32Array)(product(shape));
  }

  run(x) {
    const {out, places, operate} = this;
    for (let i = 0, c = 0; i < out.length; c++) {
      for (let k = 0; k < places; k++, i++) out[i] = operate(x[i], c);
    }
    return out;
  }
}

/** Bits of pixels: +1 from 128 up. */
class PixelSigns {
  constructor(shape) {
    this.codes = BITS;
    this.out = new Int32Array(product(shape));
  }

  run(x) {
    for (let i = 0; i < x.length; i++) this.out[i] = x[i] >= 128 ? 1 : 0;
    return this.out;
  }
}

/** Calls back for the values of each window of an image's channel. */
function eachWindow([height, width], [rows, columns],
  {ksize, stride, pad}, visit) {
  const inside = (at, i, n) => [Math.max(0, at * stride[i] - pad[i]),
    Math.min(n, at * stride[i] - pad[i] + ksize[i])];
  for (let r = 0, at = 0; r < rows; r++) {
    const [top, bottom] = inside(r, 0, height);
    for (let c = 0; c < columns; c++, at++) {
      const [left, right] = inside(c, 1, width);
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) visit(at, y * width + x);
      }
    }
  }
}

/**
 * The largest value of each window; of bits that were turned (`is_minimum`)
 * the least.
 */
class MaxPooling {
  constructor(window, shape, output, isMinimum, codes) {
    this.codes = codes;
    this.out = new (codes ? Int32Array : Float32Array)(product(output));
    [this.channels] = shape;
    this.size = product(shape.slice(1));
    this.places = product(output.slice(1));
    this.isMinimum = isMinimum;
    // Pairs of a place of the result and one of the operand
    const pairs = [];
    eachWindow(shape.slice(1), output.slice(1), window,
      (to, from) => pairs.push(to, from));
    this.pairs = Int32Array.from(pairs);
  }

  run(x) {
    const {out, pairs, isMinimum} = this;
    for (let c = 0; c < this.channels; c++) {
      const [from, to] = [c * this.size, c * this.places];
      const isLeast = isMinimum !== null && isMinimum[c];
      const outside = this.codes ? Number(isLeast) : -Infinity;
      out.fill(outside, to, to + this.places);
      for (let i = 0; i < pairs.length; i += 2) {
        const at = to + pairs[i];
        const value = x[from + pairs[i + 1]];
        if (isLeast ? value < out[at] : value > out[at]) out[at] = value;
      }
    }
    return out;
  }
}

/** XNOR-Net's K: the mean of |x|, which a later MultiplyScale takes. */
class KeepScale {
  constructor({ksize, stride, pad}, shape, kept) {
    this.codes = null;
    this.kept = kept;
    [this.channels] = shape;
    this.size = product(shape.slice(1));
    this.window = ksize && {ksize, stride, pad};
    this.shape = shape.slice(1);
    this.output = ksize && this.shape.map((n, i) =>
      Math.floor((n + 2 * pad[i] - ksize[i]) / stride[i]) + 1);
    this.means = new Float32Array(this.size);
  }

  run(x) {
    this.out = x;
    if (!this.window) {
      const total = x.reduce((sum, v) => sum + Math.abs(v), 0);
      this.kept.push(Float32Array.of(total / x.length));
      return x;
    }
    for (let p = 0; p < this.size; p++) {
      let total = 0;
      for (let c = 0; c < this.channels; c++) {
        total += Math.abs(x[c * this.size + p]);
      }
      this.means[p] = total / this.channels;
    }
    const scale = new Float64Array(product(this.output));
    const n = product(this.window.ksize);
    eachWindow(this.shape, this.output, this.window,
      (to, from) => { scale[to] += this.means[from] / n; });
    this.kept.push(Float32Array.from(scale));
    return x;
  }
}

/** Multiplies by the K that was kept last, place by place. */
class MultiplyScale {
  constructor(shape, kept) {
    this.codes = null;
    this.kept = kept;
    this.out = new Float32Array(product(shape));
  }

  run(x) {
    const scale = this.kept.pop();
    for (let i = 0; i < x.length; i++) {
      this.out[i] = x[i] * scale[i % scale.length];
    }
    return this.out;
  }
}

/**
 * Makes the step of a stage that is no layer.
 *
 * @param {object} stage The stage of the file.
 * @param {?object} codes Those of its operand; null of floats.
 * @param {Array<Float32Array>} kept Where scales are kept.
 */
function makeStep(stage, codes, kept) {
  const {input_shape: shape, output_shape: output, operation} = stage;
  if (stage.stage === 'pixel_signs') return new PixelSigns(shape);
  if (stage.stage === 'bit_max_pooling') {
    return new MaxPooling(stage, shape, output, stage.is_minimum, codes);
  }
  switch (operation.operation) {
    case 'MaxPooling2D':
      return new MaxPooling(operation, shape, output, null, codes);
    case 'KeepScale': return new KeepScale(operation, shape, kept);
    case 'MultiplyScale': return new MultiplyScale(shape, kept);
    case 'Sign': return new Elements(operation, shape, BITS);
    case 'Quantize': return new Elements(operation, shape, levelCodes(
      ...[operation.low, operation.high].map(
        v => Math.round(v * operation.n))));
    default: return new Elements(operation, shape, null);
  }
}
