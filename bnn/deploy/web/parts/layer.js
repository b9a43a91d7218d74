// A linear layer or a convolution, and what is folded into its result.

/** How many bits are needed to tell so many codes from 0 up apart. */
const bitsFor = levels => Math.max(1, Math.ceil(Math.log2(levels)));

/** Codes of whole numbers from low to high. */
const levelCodes = (low, high) => ({low, step: 1,
  bits: bitsFor(high - low + 1), levels: high - low + 1});

const BITS = {low: -1, step: 2, bits: 1, levels: 2};
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

/** The codes of a layer's operand: of pixels as it maps them. */
const operandCodes = ({operand, pixel_map: [step, low]}, codes) =>
  operand === 'pixels' ? {...codes, low, step} : codes;

/** Whether a layer's sums are those of whole numbers. */
const isCounted = ({operand, weights}) =>
  operand !== 'float' && weights.bits < 32;

/** A stage `product` of the file, as a step of a Net. */
class Layer {
  /**
   * @param {object} stage The stage of the file.
   * @param {?object} codes Those of its operand; null of floats.
   * @param {Counter} counter Where bits are.
   * @param {?WebAssembly.Module} products products.wasm.
   */
  constructor(stage, codes, counter, products) {
    const {weights} = stage;
    const operand = operandCodes(stage, codes);
    this.stage = stage;
    [this.filters] = weights.shape;
    this.inputs = product(weights.shape.slice(1));
    this.bits = weights.bits;
    this.isCounted = isCounted(stage);
    this.by = this.isCounted ? new CountedSums(weights, operand, counter)
      : this.bits === 32 ? new FloatSums(weights, operand, products)
        : new SubsetSums(weights);
    this.isConvolution = weights.shape.length === 4;
    this.windows = this.isConvolution ? windowsOf(stage) : null;
    this.window = new (codes ? Int32Array : Float64Array)(
      this.isConvolution ? this.inputs : 0);
    this.places = product(stage.output_shape.slice(1));
    this.codes = {bits: BITS, float: null,
      levels: levelCodes(stage.low, stage.high)}[stage.result];
    this.out = new (this.codes ? Int32Array : Float32Array)(
      this.filters * this.places);
    this.finish = {bits: this.bitsOf, float: this.floatsOf, levels:
      stage.thresholds ? this.levelsOf : this.multipliedLevelsOf,
    }[stage.result];
  }

  /** Computes the result of codes or floats. */
  run(x) {
    const {windows, window, places} = this;
    if (!windows) {
      this.by.multiply(x);
      this.finish(0);
      return this.out;
    }
    for (let p = 0, at = 0; p < places; p++) {
      for (let k = 0; k < window.length; k++) window[k] = x[windows[at++]];
      this.by.multiply(window);
      this.finish(p);
    }
    return this.out;
  }

  /* What becomes of the sums of a place: docs/packed_format.md, `result` */

  bitsOf(place) {
    const {out, places, by: {sums}, stage: {thresholds}} = this;
    for (let f = 0; f < this.filters; f++) {
      out[f * places + place] = sums[f] >= thresholds[f] ? 1 : 0;
    }
  }

  /** From the least level on. */
  levelsOf(place) {
    const {out, places, by: {sums}, stage: {thresholds, low, high}} = this;
    const each = high - low;
    for (let f = 0; f < this.filters; f++) {
      let level = 0;
      for (let t = f * each; t < (f + 1) * each; t++) {
        level += sums[f] >= thresholds[t] ? 1 : 0;
      }
      out[f * places + place] = level;
    }
  }

  multipliedLevelsOf(place) {
    const {out, places, by: {sums}} = this;
    const {multiplier, addend, low, high} = this.stage;
    const shift = BigInt(this.stage.shift);
    for (let f = 0; f < this.filters; f++) {
      const level = Number(
        BigInt(sums[f]) * multiplier[f] + addend[f] >> shift);
      out[f * places + place] = Math.min(Math.max(level, low), high) - low;
    }
  }

  /** Each operation is rounded to float32. */
  floatsOf(place) {
    const {out, places, by: {sums}, stage: {scale, offset}} = this;
    for (let f = 0; f < this.filters; f++) {
      out[f * places + place] = Math.fround(
        Math.fround(sums[f]) * scale[f]) + offset[f];
    }
  }
}
