// From strokes to the 28x28 pixels that the net sees.
//
// A stroke is a list of points [x, y], 0 to 1 across the pad. They are scaled
// before they are drawn: a small digit gets as thick a pen as a large one, and
// no browser's canvas has a say in the pixels.

const SIZE = 28;
// Of MNIST's digits, in pixels: the larger side, and where the centre of mass
// is, from 0 at the middle of the first pixel
const MNIST_BOX = {{mnist.box}};
const MNIST_CENTRE = {{mnist.centre}};
// How the images of a data set were made, in pixels: the larger side of a
// digit, half of the pen's width, how far its edge is blurred, and how far
// from the corner the centre of mass is (null: the box is in the middle
// instead).
const STYLES = {
  mnist: {box: MNIST_BOX, pen: 1.25, blur: 1, middle: MNIST_CENTRE + 0.5},
  // 8x8 pixels, each the mean of 4x4, enlarged to 24x24
  digits: {box: 24, pen: 2, blur: 4, middle: null},
};
// A box smaller than this part of the pad is not blown up any further.
const LEAST = 0.15;

/**
 * Draws strokes as a data set's digits are: in a box, for MNIST of 20 pixels,
 * the centre of mass in the middle.
 *
 * @param {Array<Array<[number, number]>>} strokes The strokes.
 * @param {object} style One of STYLES.
 * @returns {Uint8Array} The pixels, row by row, light on dark.
 */
function render(strokes, style) {
  const points = strokes.flat();
  if (!points.length) return new Uint8Array(SIZE * SIZE);
  const {box, pen, middle} = style;
  const [left, right] = range(points.map(p => p[0]));
  const [top, bottom] = range(points.map(p => p[1]));
  const scale = (box - 2 * pen) / Math.max(right - left, bottom - top, LEAST);
  const place = (x, y) => strokes.map(stroke => stroke.map(
    p => [(p[0] - left) * scale + x, (p[1] - top) * scale + y]));
  const width = (right - left) * scale;
  const height = (bottom - top) * scale;
  const x = (SIZE - width) / 2;
  const y = (SIZE - height) / 2;
  const pixels = rasterize(place(x, y), style);
  if (middle === null) return pixels;
  // The centre of mass in the middle, unless ink would leave the image
  const mass = centre(pixels);
  const within = (v, length) => Math.min(
    Math.max(v, pen), Math.max(pen, SIZE - length - pen));
  return rasterize(place(
    within(x + middle - mass[0], width),
    within(y + middle - mass[1], height)), style);
}

function range(values) {
  return [values.reduce((a, b) => Math.min(a, b)),
    values.reduce((a, b) => Math.max(a, b))];
}

/** Pixels of strokes in pixels: ink by the distance from the pen's way. */
function rasterize(strokes, {pen, blur}) {
  const pixels = new Uint8Array(SIZE * SIZE);
  const reach = pen + blur / 2;
  for (const stroke of strokes) {
    for (let i = 0; i < stroke.length; i++) {
      const [ax, ay] = stroke[Math.max(0, i - 1)];
      const [bx, by] = stroke[i];
      const dx = bx - ax, dy = by - ay;
      const square = dx * dx + dy * dy;
      const first = v => Math.max(0, Math.floor(v - reach - 0.5));
      const last = v => Math.min(SIZE - 1, Math.ceil(v + reach - 0.5));
      for (let r = first(Math.min(ay, by)); r <= last(Math.max(ay, by)); r++) {
        for (let c = first(Math.min(ax, bx)); c <= last(Math.max(ax, bx));
          c++) {
          const px = c + 0.5 - ax, py = r + 0.5 - ay;
          const t = square
            ? Math.min(1, Math.max(0, (px * dx + py * dy) / square)) : 0;
          const away = Math.hypot(px - t * dx, py - t * dy);
          const ink = Math.round(255 * Math.min(1, Math.max(
            0, (reach - away) / blur)));
          const at = r * SIZE + c;
          if (ink > pixels[at]) pixels[at] = ink;
        }
      }
    }
  }
  return pixels;
}

/** Centre of mass, in pixels from the upper left corner. */
function centre(pixels) {
  let mass = 0, x = 0, y = 0;
  pixels.forEach((ink, at) => {
    mass += ink;
    x += ink * (at % SIZE + 0.5);
    y += ink * (Math.floor(at / SIZE) + 0.5);
  });
  return mass ? [x / mass, y / mass] : [SIZE / 2, SIZE / 2];
}

// A digit each: strokes from point to point, in hundredths of the pad
const EXAMPLES = [
  [[[52, 20], [35, 28], [28, 50], [35, 74], [52, 81], [67, 72], [72, 50],
    [66, 28], [52, 20]]],
  [[[42, 32], [54, 20], [51, 50], [49, 81]]],
  [[[31, 33], [39, 22], [56, 20], [65, 32], [58, 48], [42, 64],
    [30, 78], [50, 77], [71, 77]]],
  [[[32, 24], [48, 19], [64, 27], [60, 42], [45, 48], [62, 53],
    [67, 67], [54, 80], [31, 76]]],
  [[[37, 20], [33, 38], [30, 52], [50, 52], [70, 49]],
    [[63, 22], [60, 50], [57, 81]]],
  [[[66, 21], [50, 22], [38, 22], [35, 36], [34, 47],
    [50, 43], [64, 51], [66, 66], [53, 79], [31, 76]]],
  [[[62, 19], [46, 30], [35, 50], [34, 69], [46, 81], [62, 75], [66, 61],
    [54, 52], [40, 58], [35, 67]]],
  [[[29, 24], [50, 23], [70, 22], [60, 44], [51, 62], [46, 81]]],
  [[[65, 28], [50, 20], [36, 29], [44, 43], [60, 55], [65, 70], [50, 81],
    [36, 70], [43, 55], [58, 42], [65, 28]]],
  [[[65, 33], [52, 21], [37, 30], [38, 45], [53, 49], [65, 33],
    [63, 58], [58, 81]]],
].map(strokes => strokes.map(points => points.map(p => p.map(v => v / 100))));
