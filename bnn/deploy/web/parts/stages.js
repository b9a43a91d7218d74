// The stages between the layers, as bnn/deploy/reference.py defines them.

const {fround} = Math;
const fround32 = values => Float32Array.from(values);

/**
 * What operations do to one value: functions of the stage that return a
 * function of the value and its channel.
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
  /* The others give codes. */
  PixelSigns: () => p => p >= 128 ? 1 : 0,
  Sign: ({shift}) => (x, c) => x >= (shift ? shift[c] : 0) ? 1 : 0,
  Quantize({n, low, high}) {
    const [bottom, top, factor] = fround32([low, high, n]);
    const least = Math.round(low * n);
    return x => roundToEven(
      fround(Math.min(Math.max(x, bottom), top) * factor)) - least;
  },
};

/** Rounds to a whole number, a tie to the even one, as NumPy does. */
function roundToEven(x) {
  const below = Math.floor(x);
  const rest = x - below;
  return below + (rest > 0.5 || rest === 0.5 && below % 2 ? 1 : 0);
}

/** An operation on each value by itself. */
function elements(operation, {shape}) {
  const operate = ELEMENTS[operation.operation](operation);
  const places = product(shape.slice(1));
  const out = new Float32Array(product(shape));
  return x => {
    for (let i = 0, c = 0; i < out.length; c++) {
      for (let k = 0; k < places; k++, i++) out[i] = operate(x[i], c);
    }
    return out;
  };
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

/** The largest value of each window; where `is_minimum` the least. */
function maxPooling(pool, {shape, output, codes}) {
  const out = new Float32Array(product(output));
  const [size, places] = [shape, output].map(one => product(one.slice(1)));
  // Pairs of a place of the result and one of the operand
  const pairs = [];
  eachWindow(shape.slice(1), output.slice(1), pool,
    (to, from) => pairs.push([to, from]));
  return x => {
    for (let c = 0; c < shape[0]; c++) {
      const isLeast = Boolean(pool.is_minimum && pool.is_minimum[c]);
      const outside = codes ? Number(isLeast) : -Infinity;
      out.fill(outside, c * places, (c + 1) * places);
      for (const [to, from] of pairs) {
        const at = c * places + to;
        const value = x[c * size + from];
        if (isLeast ? value < out[at] : value > out[at]) out[at] = value;
      }
    }
    return out;
  };
}

/** The mean of each window; the padding counts as 0. */
function averagePooling(pool, {shape, output}) {
  const out = new Float32Array(product(output));
  const [size, places] = [shape, output].map(one => product(one.slice(1)));
  const sums = new Float64Array(places);
  return x => {
    for (let c = 0; c < shape[0]; c++) {
      sums.fill(0);
      eachWindow(shape.slice(1), output.slice(1), pool,
        (to, from) => { sums[to] += x[c * size + from]; });
      out.set(sums.map(sum => sum / product(pool.ksize)), c * places);
    }
    return out;
  };
}

/** The mean over the image. */
function mean(operation, {shape}) {
  const size = product(shape.slice(1));
  return x => Float32Array.from({length: shape[0]}, (_, c) => x.subarray(
    c * size, (c + 1) * size).reduce((a, b) => a + b, 0) / size);
}

/* Branches; what a step gives stays as it is until the next prediction. */

const keep = (operation, {kept}) => x => {
  kept.push(x);
  return x;
};

const swap = (operation, {kept}) => x => {
  const other = kept.pop();
  kept.push(x);
  return other;
};

const addKept = (operation, {kept}) => x => {
  const other = kept.pop();
  return x.map((v, i) => v + other[i]);
};

/** Channels of zeros in front of an image's own and behind them. */
function padChannels({before}, {shape, output}) {
  const out = new Float32Array(product(output));
  return x => {
    out.set(x, before * product(shape.slice(1)));
    return out;
  };
}

/** XNOR-Net's K: the mean of |x|, which a later MultiplyScale takes. */
function keepScale({ksize, stride, pad}, {shape, kept}) {
  // Without windows the mean is over all values.
  const [channels, ...sides] = ksize ? shape : [product(shape)];
  const size = product(sides);
  const output = ksize && sides.map((n, i) =>
    Math.floor((n + 2 * pad[i] - ksize[i]) / stride[i]) + 1);
  return x => {
    const means = new Float64Array(size);
    x.forEach((v, i) => { means[i % size] += Math.abs(v) / channels; });
    const scale = ksize ? new Float64Array(product(output)) : means;
    if (ksize) {
      eachWindow(sides, output, {ksize, stride, pad}, (to, from) => {
        scale[to] += fround(means[from]) / product(ksize);
      });
    }
    kept.push(fround32(scale));
    return x;
  };
}

/** Multiplies by the K that was kept last, place by place. */
function multiplyScale(operation, {kept}) {
  return x => {
    const scale = kept.pop();
    return x.map((v, i) => v * scale[i % scale.length]);
  };
}

const STEPS = {MaxPooling2D: maxPooling, AveragePooling2D: averagePooling,
  Mean: mean, Keep: keep, Swap: swap, AddKept: addKept,
  PadChannels: padChannels, KeepScale: keepScale,
  MultiplyScale: multiplyScale};

/**
 * Makes the step of a stage that is no layer.
 *
 * @param {object} stage The stage of the file.
 * @param {?object} codes Those of its operand; null of floats.
 * @param {Array<Float32Array>} kept What steps keep for later ones.
 */
function makeStep(stage, codes, kept) {
  const operation = stage.operation || {...stage, operation: {
    pixel_signs: 'PixelSigns', bit_max_pooling: 'MaxPooling2D'}[stage.stage]};
  const {operation: kind, low, high, n} = operation;
  const compute = (STEPS[kind] || elements)(operation, {
    shape: stage.input_shape, output: stage.output_shape, codes, kept});
  const step = {out: null, codes: {
    MaxPooling2D: codes, PixelSigns: BITS, Sign: BITS,
    Quantize: levelCodes(Math.round(low * n), Math.round(high * n)),
  }[kind] || null};
  step.run = x => {
    step.out = compute(x);
    return step.out;
  };
  return step;
}
