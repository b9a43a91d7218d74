// The packed net: computes a .bnn file, as bnn/deploy does.
//
// Of whole numbers the scores are the same to the last bit. Sums of floats
// are added in float64 and rounded once, which differs from Python's by what
// its float32 sums are rounded.

/** A packed net, ready to predict. */
class Net {
  /** @param {Uint8Array} bytes The file. */
  constructor(bytes) {
    const {class_names: names, facts, stages, input_shape: shape}
      = readPacked(bytes);
    this.bytes = bytes.length;
    this.inputShape = shape;
    this.classNames = names;
    this.facts = facts;
    this.signs = stages.some(one => one.stage === 'pixel_signs');
    this.hasBranches = stages.some(
      one => one.operation?.operation === 'AddKept');
    this.steps = [];
    this.layers = [];
    this.hidden = [];
    this.build(stages);
    this.weights = this.layers.reduce(
      (n, layer) => n + layer.filters * layer.inputs, 0);
    this.floatBytes = stages.reduce((n, stage) => n + (stage.stage
      === 'product' ? stage.float_bytes : arrayBytes(stage.operation)), 0);
  }

  /**
   * Makes the steps. What a layer but the first is given is a hidden layer:
   * `step.out` holds its units then, of the shape of the image if it is one.
   */
  build(stages) {
    let codes = PIXELS, shape = null, last = null;
    const kept = [];
    for (const stage of stages) {
      // The values of an image are in the order of Flatten already.
      if (stage.operation?.operation === 'Flatten') continue;
      const isLayer = stage.stage === 'product';
      if (isLayer && this.layers.length) {
        this.hidden.push({step: last, shape, codes});
      }
      last = isLayer ? new Layer(stage, codes) : makeStep(stage, codes, kept);
      this.steps.push(last);
      if (isLayer) this.layers.push(last);
      ({codes} = last);
      shape = stage.output_shape;
    }
  }

  /**
   * Computes the class scores, step by step: a generator, which a page can
   * leave and take up again. The hidden units are in `hidden[i].step.out`
   * then.
   *
   * @param {Uint8Array} image The pixels, channel after channel, row by row.
   * @returns {Float32Array} A score for each class.
   */
  *run(image) {
    let x = image;
    for (const step of this.steps) {
      x = step.run(x);
      yield;
    }
    return Float32Array.from(x);
  }

  /** Computes the class scores of an image at once. */
  scores(image) {
    const running = this.run(image);
    for (;;) {
      const {done, value} = running.next();
      if (done) return value;
    }
  }
}

/** Bytes of the arrays among the fields of an operation. */
const arrayBytes = operation => Object.values(operation || {}).reduce(
  (n, one) => n + (ArrayBuffer.isView(one) ? one.byteLength : 0), 0);

/** Softmax of scores. */
function softmax(scores) {
  const largest = Math.max(...scores);
  const powers = Array.from(scores, s => Math.exp(s - largest));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map(p => p / total);
}

/** The first index of the largest value. */
const argmax = values => values.indexOf(Math.max(...values));
