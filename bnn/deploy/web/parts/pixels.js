// From a picture to the image that the net sees, as bnn/deploy/pictures.py
// makes it.

// ImageNet's nets see the middle of a picture of so many pixels a side.
const IMAGENET_SIZE = {{imagenet.size}};

/* Scaling, as Pillow does */

/**
 * Scales rows of bytes, bilinearly, over the whole area of a pixel where they
 * shrink.
 *
 * @param {Uint8Array} values Row by row.
 * @param {number} columns Bytes of a row.
 * @param {number} n Bytes of a row of the result.
 * @returns {Uint8Array} Column by column.
 */
function scaleRows(values, columns, n) {
  const rows = values.length / columns;
  const out = new Uint8Array(rows * n);
  const scale = columns / n;
  const reach = Math.max(scale, 1);
  for (let i = 0; i < n; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(columns, Math.trunc(centre + reach + 0.5));
    let weights = Float64Array.from({length: last - first}, (_, k) =>
      Math.max(0, 1 - Math.abs((k + first - centre + 0.5) * (1 / reach))));
    const total = weights.reduce((a, b) => a + b, 0);
    // Whole numbers, in units of 2^-22
    weights = Int32Array.from(weights,
      weight => Math.round(weight / total * (1 << 22)));
    for (let r = 0; r < rows; r++) {
      let sum = 1 << 21;
      for (let k = 0, at = r * columns + first; k < weights.length; k++) {
        sum += values[at + k] * weights[k];
      }
      out[i * rows + r] = sum >> 22;
    }
  }
  return out;
}

const resize = (values, [height, width], [rows, columns]) =>
  scaleRows(scaleRows(values, width, columns), height, rows);

/* From a picture to an image */

/** Luma of pixels. */
function grey({data}) {
  const out = new Uint8Array(data.length / 4);
  for (let i = 0, at = 0; i < out.length; i++, at += 4) {
    out[i] = Math.floor((299 * data[at] + 587 * data[at + 1]
      + 114 * data[at + 2] + 500) / 1000);
  }
  return out;
}

/** One of the colours of pixels. */
function plane({data}, c) {
  const out = new Uint8Array(data.length / 4);
  for (let i = 0; i < out.length; i++) out[i] = data[4 * i + c];
  return out;
}

/** Grey data sets, whose images are light on dark. */
const LIGHT_ON_DARK = ['mnist', 'digits', 'fashion-mnist'];

/** Inverts grey whose edge is rather light. */
function lightOnDark(values, [height, width]) {
  const edge = Array.from(values.filter((_, i) => i < width
    || i >= width * (height - 1) || i % width === 0
    || i % width === width - 1)).sort((a, b) => a - b);
  const middle = edge[edge.length >> 1] + edge[edge.length - 1 >> 1];
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  return 2 * Math.trunc(middle / 2) > low + high || low === high && low > 127
    ? values.map(v => 255 - v) : values;
}

/**
 * Makes the image that a net sees of a picture.
 *
 * @param {ImageData} pixels The picture.
 * @param {Array<number>} shape The net's (channels, h, w).
 * @param {?string} dataset What the net was trained on.
 * @returns {Uint8Array} Channel after channel, row by row.
 */
function imageOf(pixels, [channels, ...wanted], dataset) {
  const size = [pixels.height, pixels.width];
  const isGrey = channels === 1;
  const planes = isGrey ? [grey(pixels)]
    : [0, 1, 2].map(c => plane(pixels, c));
  if (LIGHT_ON_DARK.includes(dataset)) {
    planes[0] = lightOnDark(planes[0], size);
  }
  const isCut = !isGrey && dataset === 'imagenet';
  const scaled = isCut ? [IMAGENET_SIZE, IMAGENET_SIZE] : wanted;
  const [top, left] = scaled.map((n, i) => n - wanted[i] >> 1);
  const [rows, columns] = wanted;
  const image = new Uint8Array(channels * rows * columns);
  planes.forEach((one, c) => {
    const values = resize(one, size, scaled);
    for (let r = 0; r < rows; r++) {
      const at = (top + r) * scaled[1] + left;
      image.set(values.subarray(at, at + columns), (c * rows + r) * columns);
    }
  });
  return image;
}
