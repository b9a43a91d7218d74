// A linear layer or a convolution, and what is folded into its result.
//
// A value between the stages is an array, of an image (channels, h, w), of
// floats or of codes: whole numbers from 0 up that stand for
// `low + step * code`.

/** Codes of whole numbers from low to high. */
const levelCodes = (low, high) => ({low, step: 1, levels: high - low + 1});
const BITS = {low: -1, step: 2, levels: 2};
const PIXELS = levelCodes(0, 255);

/**
 * Where a convolution's windows lie in its operand (channels, h, w).
 *
 * @returns {Int32Array} Indices: window after window, each in the order of
 *     the weights, (kh, kw, channels).
 */
function windowsOf({weights, input_shape: [, height, width], output_shape,
  stride, dilate}) {
  const [, channels, kh, kw] = weights.shape;
  const [, rows, columns] = output_shape;
  const found = new Int32Array(rows * columns * kh * kw * channels);
  let i = 0;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      for (let y = 0; y < kh; y++) {
        for (let x = 0; x < kw; x++) {
          const at = (r * stride[0] + y * dilate[0]) * width
            + c * stride[1] + x * dilate[1];
          for (let n = 0; n < channels; n++) {
            found[i++] = at + n * height * width;
          }
        }
      }
    }
  }
  return found;
}

/**
 * What becomes of a sum, as docs/packed_format.md has it: functions of the
 * stage that return a function of the sum and the filter. Bits and levels are
 * codes; the page rounds floats to float32 after each operation.
 */
const RESULTS = {
  bits: ({thresholds}) => (s, f) => s >= thresholds[f] ? 1 : 0,
  float: ({scale, offset}) => (s, f) =>
    fround(fround(s) * scale[f]) + offset[f],
  levels({thresholds, multiplier, addend, shift, low, high}) {
    const n = high - low;
    if (!thresholds) {
      return (s, f) => Math.min(Math.max(Number(
        BigInt(s) * multiplier[f] + addend[f] >> BigInt(shift)), low), high)
        - low;
    }
    return (s, f) => {
      let level = 0;
      for (let t = f * n; t < (f + 1) * n; t++) level += s >= thresholds[t];
      return level;
    };
  },
};

/** A stage `product` of the file, as a step of a Net. */
class Layer {
  /**
   * @param {object} stage The stage of the file.
   * @param {?object} codes Those of its operand; null of floats.
   */
  constructor(stage, codes) {
    const {weights, operand, result, pixel_map: [step, low]} = stage;
    this.stage = stage;
    [this.filters] = weights.shape;
    this.inputs = product(weights.shape.slice(1));
    this.bits = weights.bits;
    this.isCounted = this.bits === 1 && operand === 'bits';
    this.by = this.isCounted ? new CountedSums(weights)
      : new AddedSums(weights, operand === 'pixels' ? {low, step} : codes);
    this.isConvolution = weights.shape.length === 4;
    this.windows = this.isConvolution ? windowsOf(stage) : null;
    this.window = new Float64Array(this.isConvolution ? this.inputs : 0);
    this.places = product(stage.output_shape.slice(1));
    this.codes = {bits: BITS, float: null,
      levels: levelCodes(stage.low, stage.high)}[result];
    this.finish = RESULTS[result](stage);
    this.out = new Float32Array(this.filters * this.places);
  }

  /** Computes the result of codes or floats. */
  run(x) {
    const {windows, window, places, out, finish, by: {sums}} = this;
    for (let p = 0, at = 0; p < places; p++) {
      for (let k = 0; k < window.length; k++) window[k] = x[windows[at++]];
      this.by.multiply(windows ? window : x);
      for (let f = 0; f < sums.length; f++) {
        out[f * places + p] = finish(sums[f], f);
      }
    }
    return out;
  }
}
