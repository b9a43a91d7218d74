// What counts the bits in which rows differ.

/**
 * Memory of bits, and what counts them: in WebAssembly, which has an
 * instruction for it, else (some browsers can switch it off) in JavaScript.
 */
class Counter {
  /**
   * @param {number} bytes The size of the memory.
   * @param {?WebAssembly.Module} module popcount.wasm.
   */
  constructor(bytes, module) {
    this.used = 0;
    try {
      const memory = new WebAssembly.Memory(
        {initial: Math.ceil(bytes / 65536)});
      const instance = new WebAssembly.Instance(module, {js: {memory}});
      this.buffer = memory.buffer;
      this.count = instance.exports.count;
    } catch {
      this.buffer = new ArrayBuffer(bytes);
      this.count = this.countInScript;
    }
    this.isCompiled = this.count !== this.countInScript;
    this.all = new Int32Array(this.buffer);
  }

  /** Returns room for so many 32-bit words, at a multiple of 8 bytes. */
  take(words) {
    const array = new Int32Array(this.buffer, this.used, words);
    this.used += 4 * (words + words % 2);
    return array;
  }

  /** As popcount.wat: addresses in bytes, words of 64 bits. */
  countInScript(w, x, words, bits, operandBits, filters, y) {
    const {all} = this;
    const n = 2 * words;
    let from = w / 4;
    for (let f = 0; f < filters; f++) {
      let total = 0;
      for (let i = 0; i < bits; i++, from += n) {
        for (let j = 0, at = x / 4; j < operandBits; j++, at += n) {
          let different = 0;
          for (let k = 0; k < n; k++) {
            let v = all[from + k] ^ all[at + k];
            v -= v >>> 1 & 0x55555555;
            v = (v & 0x33333333) + (v >>> 2 & 0x33333333);
            different += Math.imul(
              v + (v >>> 4) & 0x0f0f0f0f, 0x01010101) >>> 24;
          }
          total += different << (i + j);
        }
      }
      all[y / 4 + f] = total;
    }
  }
}
