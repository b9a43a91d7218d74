// Reads a .bnn file: docs/packed_format.md describes it.

/**
 * The file, as it is read from its bytes.
 *
 * @param {Uint8Array} bytes The file, from the first byte of its buffer on.
 * @returns {object} Its JSON, with arrays in place of their numbers.
 */
function readPacked(bytes) {
  const HEADER = 32;
  const types = {'<f4': Float32Array, '<i4': Int32Array,
    '<i8': BigInt64Array, '|u1': Uint8Array, '|b1': Uint8Array};
  const view = new DataView(bytes.buffer);
  const start = HEADER + view.getUint32(12, true);
  const description = JSON.parse(
    new TextDecoder().decode(bytes.subarray(HEADER, start)));
  const arrays = description.arrays.map(({dtype, shape, offset}) =>
    new types[dtype](bytes.buffer, start + offset, product(shape)));
  const resolve = value => {
    if (value === null || typeof value !== 'object') return value;
    if (Array.isArray(value)) return value.map(resolve);
    if ('array' in value) return arrays[value.array];
    return Object.fromEntries(Object.entries(value).map(
      ([name, one]) => [name, resolve(one)]));
  };
  return resolve(description);
}

/** The bytes that a text stands for in base64. */
const fromBase64 = text => Uint8Array.from(
  atob(text.trim()), character => character.charCodeAt(0));

/** The product of numbers: how many values a shape has. */
const product = numbers => numbers.reduce((a, b) => a * b, 1);
