// Mouse, finger, buttons and keys: from them to strokes, and to digits.

{{strokes.js}}

const style = STYLES[net.facts.dataset] || STYLES.mnist;
let strokes = [];
let pointer = null;
// Where the keys draw, and whether their pen is down
const cursor = {x: 0.5, y: 0.5, isDown: false, isShown: false};

/* The pad */

function drawPad(colors) {
  const ratio = devicePixelRatio || 1;
  const side = Math.round(pad.clientWidth * ratio);
  if (pad.width !== side) pad.width = pad.height = side;
  const context = pad.getContext('2d');
  context.clearRect(0, 0, side, side);
  context.lineCap = context.lineJoin = 'round';
  context.strokeStyle = colors.ink;
  context.lineWidth = side * 0.065;
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(stroke[0][0] * side, stroke[0][1] * side);
    stroke.forEach(([x, y], i) => {
      const [nextX, nextY] = stroke[i + 1] || [x, y];
      context.quadraticCurveTo(x * side, y * side,
        (x + nextX) / 2 * side, (y + nextY) / 2 * side);
    });
    context.stroke();
  }
  if (cursor.isShown && document.activeElement === pad) {
    context.lineWidth = side * 0.008;
    context.strokeStyle = context.fillStyle = colors.flip;
    context.beginPath();
    context.arc(cursor.x * side, cursor.y * side, side * 0.042, 0, 7);
    context.stroke();
    if (cursor.isDown) context.fill();
  }
  element('hint').style.display
    = strokes.length || cursor.isShown ? 'none' : '';
}

function place(event) {
  const box = pad.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top].map(
    v => Math.min(1, Math.max(0, v / box.width)));
}

pad.addEventListener('pointerdown', event => {
  if (event.button || pointer !== null) return;
  pointer = event.pointerId;
  pad.setPointerCapture(pointer);
  cursor.isShown = cursor.isDown = false;
  strokes.push([place(event)]);
  changed();
});
pad.addEventListener('pointermove', event => {
  if (event.pointerId !== pointer) return;
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const one of events.length ? events : [event]) {
    strokes[strokes.length - 1].push(place(one));
  }
  changed();
});
for (const kind of ['pointerup', 'pointercancel']) {
  pad.addEventListener(kind, event => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    done();
  });
}

/* Buttons and keys */

/** Replaces the strokes by others. */
function draw(lines) {
  strokes = lines.map(stroke => stroke.map(point => [...point]));
  cursor.isDown = false;
  changed();
  done();
}

const clear = () => draw([]);
const undo = () => draw(strokes.slice(0, -1));
const example = digit => draw(EXAMPLES[digit]);

let nextExample = Math.floor(10 * Math.random());
element('clear').addEventListener('click', clear);
element('undo').addEventListener('click', undo);
element('example').addEventListener('click', () => {
  example(nextExample);
  nextExample = (nextExample + 3) % 10;
});

const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
  ArrowDown: [0, 1]};

/** Does what a key says; returns whether it says anything. */
function press(event) {
  const {key} = event;
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if (key !== 'z' || event.altKey) return false;
    undo();
  } else if (key in ARROWS) {
    const step = event.shiftKey ? 0.1 : 0.025;
    const move = (v, d) => Math.min(1, Math.max(0, v + d * step));
    cursor.isShown = true;
    cursor.x = move(cursor.x, ARROWS[key][0]);
    cursor.y = move(cursor.y, ARROWS[key][1]);
    if (cursor.isDown) {
      strokes[strokes.length - 1].push([cursor.x, cursor.y]);
      changed();
    }
    wake();
  } else if (key === ' ' || key === 'Enter') {
    if (pointer !== null || event.repeat) return true;
    cursor.isShown = true;
    cursor.isDown = !cursor.isDown;
    if (cursor.isDown) strokes.push([[cursor.x, cursor.y]]);
    changed();
    done();
  } else if (key === 'Backspace') {
    undo();
  } else if (key === 'Delete' || key === 'c' || key === 'C') {
    clear();
  } else if (key >= '0' && key <= '9' && key.length === 1) {
    example(Number(key));
  } else {
    return false;
  }
  return true;
}

pad.addEventListener('keydown', event => {
  if (press(event)) event.preventDefault();
});
for (const kind of ['focus', 'blur']) pad.addEventListener(kind, wake);

const input = {
  nothing: 'nothing drawn yet',
  isEmpty: () => !strokes.length,
  image: () => render(strokes, style),
  paint: drawPad,
  clear, example, draw,
  get strokes() { return strokes; },
};
