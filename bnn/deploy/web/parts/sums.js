// Sums of weights times operands, window after window. `load(x)` takes an
// operand; `multiply(window)` leaves one sum for each filter in `sums`. Of
// whole numbers it is exact either way.

/**
 * Where a layer's windows lie in its frame: an image with its padding, pixel
 * after pixel. A linear layer has one pixel, with a channel for each input.
 *
 * @param {object} stage The layer's stage of the file.
 * @returns {object} How many `channels` a pixel has, for one of the groups;
 *     how many pixels the frame has, its `size`; which of them are `inside`
 *     the image; the first pixel of each of the `windows`; and how far from
 *     there its `taps` are.
 */
function frameOf({weights, input_shape, output_shape, stride, pad, dilate}) {
  const [, channels, kh = 1, kw = 1] = weights.shape;
  const sides = shape => weights.shape.length === 4 ? shape.slice(1) : [1, 1];
  const [height, width] = sides(input_shape);
  const across = width + 2 * pad[1];
  const pixels = ([rows, columns], [down, right], first = 0) =>
    Int32Array.from({length: rows * columns}, (_, i) => first
      + Math.floor(i / columns) * down * across + i % columns * right);
  return {
    channels,
    size: (height + 2 * pad[0]) * across,
    inside: pixels([height, width], [1, 1], pad[0] * across + pad[1]),
    windows: pixels(sides(output_shape), stride),
    taps: pixels([kh, kw], dilate),
  };
}

/** The code of weight k in a filter's bytes. */
function codeOf(data, k, bits) {
  let code = 0;
  for (let i = 0, at = k * bits; i < bits; i++, at++) {
    code |= (data[at >> 3] >> (at & 7) & 1) << i;
  }
  return code;
}

/**
 * Sums of one-bit weights and bits: n - 2 D, where D of n bits differ. Where
 * the padding is 0, which is no bit, it does not count.
 */
class CountedSums {
  /**
   * @param {object} weights Of the file.
   * @param {object} frame See frameOf.
   * @param {number} outside What the padding is, 0 or 1.
   */
  constructor({shape: [filters], data}, frame, outside) {
    const {channels, size, inside, taps} = frame;
    this.frame = frame;
    this.sums = new Float64Array(filters);
    this.words = Math.ceil(channels / 32); // of a pixel
    const n = taps.length * this.words;
    this.weights = new Int32Array(filters * n);
    const bytes = data.length / filters;
    for (let f = 0; f < filters; f++) {
      const row = data.subarray(f * bytes, (f + 1) * bytes);
      for (let t = 0, k = 0; t < taps.length; t++) {
        for (let c = 0; c < channels; c++, k++) {
          this.weights[f * n + t * this.words + (c >> 5)]
            |= codeOf(row, k, 1) << (c & 31);
        }
      }
    }
    this.pixels = new Int32Array(size * this.words);
    // All bits of a pixel that counts
    this.counts = new Int32Array(size).fill(-outside);
    for (const at of inside) this.counts[at] = -1;
    for (let at = 0; outside && at < size; at++) {
      for (let c = 0; c < channels; c++) {
        this.pixels[at * this.words + (c >> 5)] |= 1 << (c & 31);
      }
    }
    this.window = new Int32Array(n);
    this.masks = new Int32Array(n);
  }

  /** Of 0 and 1, for -1 and +1. */
  load(bits) {
    const {pixels, words, frame: {channels, inside}} = this;
    for (let c = 0, k = 0; c < channels; c++) {
      const shift = c & 31;
      for (let i = 0, word = c >> 5; i < inside.length; i++, k++) {
        const at = inside[i] * words + word;
        pixels[at] = shift ? pixels[at] | bits[k] << shift : bits[k];
      }
    }
  }

  multiply(first) {
    const {weights, pixels, counts, words, window, masks, sums,
      frame: {channels, taps}} = this;
    let counted = 0;
    for (let t = 0, i = 0; t < taps.length; t++) {
      const pixel = first + taps[t];
      counted -= counts[pixel] * channels;
      for (let w = 0; w < words; w++, i++) {
        window[i] = pixels[pixel * words + w];
        masks[i] = counts[pixel];
      }
    }
    for (let f = 0, at = 0; f < sums.length; f++) {
      let different = 0;
      for (let i = 0; i < window.length; i++, at++) {
        different += popcount((weights[at] ^ window[i]) & masks[i]);
      }
      sums[f] = counted - 2 * different;
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
   * @param {object} frame See frameOf.
   * @param {{low: number, step: number}} codes The operands': a code stands
   *     for low + step * code.
   * @param {ArrayLike<number>} outside What the padding of each channel is.
   */
  constructor({shape: [filters], bits, low, step, data}, frame, codes,
    outside) {
    const {channels, size, taps} = frame;
    const inputs = taps.length * channels;
    this.frame = frame;
    this.codes = codes;
    this.sums = new Float64Array(filters);
    // Operand after operand the weights of the filters
    this.weights = new Float32Array(inputs * filters);
    const n = data.length / filters;
    for (let f = 0; f < filters; f++) {
      const row = data.subarray(f * n, (f + 1) * n);
      for (let k = 0; k < inputs; k++) {
        this.weights[k * filters + f] = bits === 32 ? row[k]
          : low + step * codeOf(row, k, bits);
      }
    }
    this.pixels = Float64Array.from(
      {length: size * channels}, (_, i) => outside[i % channels]);
  }

  /** Of codes. */
  load(values) {
    const {pixels, codes: {low, step}, frame: {channels, inside}} = this;
    for (let c = 0, k = 0; c < channels; c++) {
      for (let i = 0; i < inside.length; i++, k++) {
        pixels[inside[i] * channels + c] = low + step * values[k];
      }
    }
  }

  multiply(first) {
    const {weights, pixels, sums, frame: {channels, taps}} = this;
    const n = sums.length;
    sums.fill(0);
    for (let t = 0, at = 0; t < taps.length; t++) {
      const pixel = (first + taps[t]) * channels;
      for (let c = 0; c < channels; c++, at += n) {
        const x = pixels[pixel + c];
        if (x === 0) continue; // Black pixels and idle units
        for (let f = 0; f < n; f++) sums[f] += weights[at + f] * x;
      }
    }
  }
}
