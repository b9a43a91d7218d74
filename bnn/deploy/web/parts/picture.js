// A file, a drop or a paste: from them to pictures.

{{pixels.js}}

// Larger pictures are shrunk by the browser: canvases of some hold no more.
const MOST_PIXELS = 4e6;

let picture = null; // A canvas
let painted = null; // What the pad shows
let turn = 0; // Counts the pictures: the last one that was asked for is shown

/* Where pictures come from */

/** A canvas; what is transparent lies on white. */
function canvasOf(width, height) {
  const canvas = Object.assign(
    document.createElement('canvas'), {width, height});
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.imageSmoothingQuality = 'high';
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  return canvas;
}

function take(canvas) {
  picture = canvas;
  turn++;
  element('problem').textContent = '';
  changed();
  done();
}

/** Shows a file, or says why not. */
async function show(file) {
  const mine = ++turn;
  try {
    const bitmap = await createImageBitmap(file);
    if (mine !== turn) return;
    const {width, height} = bitmap;
    const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
    const canvas = canvasOf(...[width, height].map(
      n => Math.max(1, Math.round(n * scale))));
    canvas.getContext('2d').drawImage(
      bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    take(canvas);
  } catch {
    if (mine === turn) refuse(`${file.name} is no picture that this browser `
      + 'reads');
  }
}

function refuse(words) {
  element('problem').textContent = words;
}

/** Shows the first of the files of a drop or a paste. */
function showFirst(event, words) {
  const {files} = event.dataTransfer || event.clipboardData;
  event.preventDefault();
  document.body.classList.remove('dropping');
  if (files.length) show(files[0]);
  else refuse(words);
}

const clear = () => take(null);
const file = element('file');
element('choose').addEventListener('click', () => file.click());
pad.addEventListener('click', () => file.click());
file.addEventListener('change', () => {
  if (file.files.length) show(file.files[0]);
  file.value = ''; // The same file again is a change too.
});
element('clear').addEventListener('click', clear);
document.addEventListener('paste', event => showFirst(
  event, 'There is no picture in the clipboard'));
document.addEventListener('dragover', event => {
  event.preventDefault();
  document.body.classList.add('dropping');
});
document.addEventListener('dragleave', event => {
  if (!event.relatedTarget) document.body.classList.remove('dropping');
});
document.addEventListener('drop', event => showFirst(
  event, 'This is no file: save the picture first, or copy and paste it'));

/* Examples: shapes of a colour each, on a ground of 100x100 */

const EXAMPLES = [
  [['#a9d3ee', 'M0 0h100v62h-100z'], ['#2d6a94', 'M0 62h100v38h-100z'],
    ['#f3efe6', 'M34 38h34v20h-34z'], ['#c8452f', 'M46 22h10v16h-10z'],
    ['#33343d', 'M10 54h82l-12 20h-58z'],
    ['#4f8cb5', 'M0 72q12 -5 25 0t25 0t25 0t25 0v28h-100z']],
  [['#cfd9df', 'M0 0h100v60h-100z'], ['#77797d', 'M0 60h100v40h-100z'],
    ['#c22f2f', 'M30 34h32l14 16h14q6 0 6 8v12h-90v-12q0 -8 8 -9z'],
    ['#dbe9f2', 'M33 38h12v12h-19zM49 38h11l10 12h-21z'],
    ['#1e1f24', 'M15 70a10 10 0 1 0 20 0a10 10 0 1 0 -20 0z'
      + 'M66 70a10 10 0 1 0 20 0a10 10 0 1 0 -20 0z'],
    ['#b7bac0', 'M21 70a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z'
      + 'M72 70a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z']],
  [['#7fb6e6', 'M0 0h100v100h-100z'], ['#e3eff9', 'M0 80q25 -14 50 0t50 0v20'
    + 'h-100z'],
    ['#8d97a3', 'M44 44l22 -24h8l-12 26zM12 44l-6 -18h8l12 18z'],
    ['#f1f3f6', 'M6 46q4 -6 14 -6h52q16 0 22 9q-6 8 -22 8h-48q-14 0 -18 -11z'],
    ['#aab3bd', 'M40 52l-16 28h9l31 -28z'],
    ['#33506e', 'M78 43h6l5 4h-11z']],
  [['#6f8f3f', 'M0 0h100v100h-100z'], ['#54702e', 'M0 66h100v34h-100z'],
    ['#3f9b3a', 'M14 64q0 -28 36 -28t36 28q0 20 -36 20t-36 -20z'],
    ['#56b84b', 'M20 30a13 13 0 1 0 26 0a13 13 0 1 0 -26 0z'
      + 'M54 30a13 13 0 1 0 26 0a13 13 0 1 0 -26 0z'],
    ['#f7f5da', 'M26 29a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z'
      + 'M60 29a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z'],
    ['#16240f', 'M30 29a3 4 0 1 0 6 0a3 4 0 1 0 -6 0z'
      + 'M64 29a3 4 0 1 0 6 0a3 4 0 1 0 -6 0z'],
    ['#22591f', 'M26 62q24 16 48 0q-24 10 -48 0z']],
];

/** Shows a ship, a car, an aeroplane or a frog. */
function example(which) {
  const side = 256;
  const canvas = canvasOf(side, side);
  const context = canvas.getContext('2d');
  context.scale(side / 100, side / 100);
  for (const [color, path] of EXAMPLES[which % EXAMPLES.length]) {
    context.fillStyle = color;
    context.fill(new Path2D(path));
  }
  take(canvas);
}

let nextExample = Math.floor(EXAMPLES.length * Math.random());
element('example').addEventListener('click', () => example(nextExample++));

/** Draws the whole picture into the pad. */
function paint() {
  const side = Math.round(pad.clientWidth * (devicePixelRatio || 1));
  if (painted === picture && pad.width === side) return;
  pad.width = pad.height = side; // Clears it too.
  painted = picture;
  element('hint').style.display = picture ? 'none' : '';
  if (!picture) return;
  const scale = side / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  const context = pad.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(
    picture, (side - width) / 2, (side - height) / 2, width, height);
}

const input = {
  nothing: 'no picture yet',
  isEmpty: () => picture === null,
  image: () => picture ? imageOf(picture.getContext('2d').getImageData(
    0, 0, picture.width, picture.height), net.inputShape, net.facts.dataset)
    : new Uint8Array(product(net.inputShape)),
  paint, clear, example, show,
};
