// A linear layer or a convolution, and what is folded into its result.
//
// A value between the stages is an array, of an image (channels, h, w), of
// floats or of codes: whole numbers from 0 up that stand for
// `low + step * code`.

/** Codes of whole numbers from low to high. */
const levelCodes = (low, high) => ({low, step: 1, levels: high - low + 1});
const BITS = {low: -1, step: 2, levels: 2};
const PIXELS = levelCodes(0, 255);
// Floats stand for themselves.
const FLOATS = {low: 0, step: 1};

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
    const {weights, operand, result, groups, pixel_map: [step, low],
      pad_value: outside, pad_pixels: padPixels} = stage;
    this.stage = stage;
    [this.filters] = weights.shape;
    this.inputs = product(weights.shape.slice(1));
    this.bits = weights.bits;
    this.isCounted = this.bits === 1 && operand === 'bits';
    this.isConvolution = weights.shape.length === 4;
    this.codes = {bits: BITS, float: null,
      levels: levelCodes(stage.low, stage.high)}[result];
    this.frame = frameOf(stage);
    const {channels, windows} = this.frame;
    const map = operand === 'pixels' ? {low, step} : codes || FLOATS;
    const padding = Array.from({length: groups * channels}, (_, c) =>
      padPixels ? map.low + map.step * padPixels[c] : outside);
    const part = (values, g) => values.slice(
      g * values.length / groups, (g + 1) * values.length / groups);
    this.groups = Array.from({length: groups}, (_, g) => {
      const some = {...weights, data: part(weights.data, g),
        shape: [this.filters / groups]};
      return this.isCounted ? new CountedSums(some, this.frame, outside)
        : new AddedSums(some, this.frame, map, part(padding, g));
    });
    this.finish = RESULTS[result](stage);
    this.out = new Float32Array(this.filters * windows.length);
  }

  /** Computes the result of codes or floats. */
  run(x) {
    const {frame: {channels, inside, windows}, out, finish} = this;
    const places = windows.length;
    let first = 0; // of the group's filters
    this.groups.forEach((group, g) => {
      const {sums} = group;
      group.load(x.subarray(g * channels * inside.length));
      for (let p = 0; p < places; p++) {
        group.multiply(windows[p]);
        for (let f = 0; f < sums.length; f++) {
          out[(first + f) * places + p] = finish(sums[f], first + f);
        }
      }
      first += sums.length;
    });
    return out;
  }
}
