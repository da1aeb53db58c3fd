// Nets of ncnn in this browser: the other side of runtime/wasm/engine.cpp. For a worker; a run takes all of its time.

/**
 * Numbers, outer first and without gaps.
 * @typedef {{sizes: number[], values: Float32Array}} Tensor
 *
 * What emscripten makes of engine.cpp, as far as it is used here.
 * @typedef {{HEAPU8: Uint8Array<ArrayBuffer>, wasmMemory?: WebAssembly.Memory,
 *   FS: {writeFile(path: string, data: Uint8Array): void, unlink(path: string): void},
 *   stringToUTF8(text: string, to: number, most: number): void, lengthBytesUTF8(text: string): number,
 *   UTF8ToString(from: number): string, _malloc(size: number): number, _free(from: number): void,
 *   _engine_error(): number, _engine_load(param: number, bin: number): number, _engine_free(net: number): void,
 *   _engine_input(net: number, name: number, sizes: number): number, _engine_blob(net: number, name: number): number,
 *   _engine_give(net: number, name: number, values: number, dims: number, sizes: number): number,
 *   _engine_run(net: number, names: number): number, _engine_sizes(net: number, i: number, sizes: number): number,
 *   _engine_values(net: number, i: number, to: number): void, _engine_forget(net: number): void,
 *   _engine_layers(net: number): number, _engine_walk(net: number, seconds: number): number,
 *   _engine_walked(net: number, name: number, sizes: number): number,
 *   _engine_normal(seed: number, count: number, to: number): void,
 *   _engine_levels(values: number, channels: number, pixels: number, to: number): number}} Module
 */

/** A module of one function that multiplies and adds: f32x4.relaxed_madd. */
const RELAXED = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2,
  253, 133, 2, 11,
); // prettier-ignore

/** What is wrong, in words for the user. */
export class NetError extends Error {}

export class Nets {
  /** @param {Module} module @param {string[]} printed */
  constructor(module, printed) {
    this.module = module;
    this.printed = printed;
  }

  /** Fetches and starts what emscripten has built: the form that was asked for, or this browser is fastest with. */
  static async load(form = self.name) {
    form ||= `engine${self.crossOriginIsolated ? "-threads" : ""}${WebAssembly.validate(RELAXED) ? "-relaxed" : ""}`;
    const address = new URL(`wasm/${form}.js`, import.meta.url).href;
    /** @type {string[]} */
    const printed = [];
    const { default: start } = await import(address);
    const module = await start({ printErr: (/** @type {string} */ line) => printed.push(line), print: () => {} });
    return new Nets(module, printed);
  }

  // The memory as it is now. It grows, and where another thread has made it grow HEAPU8 does not know: the forms with
  // threads show the memory itself.
  get memory() {
    return this.module.wasmMemory?.buffer ?? this.module.HEAPU8.buffer;
  }
  get bytes() {
    return new Uint8Array(this.memory);
  }
  get floats() {
    return new Float32Array(this.memory);
  }
  get ints() {
    return new Int32Array(this.memory);
  }

  /**
   * A net of its two files. Throws NetError where the runtime refuses it.
   * @param {string} name  in messages
   * @param {Uint8Array} param
   * @param {Uint8Array} bin
   */
  net(name, param, bin) {
    const { FS } = this.module;
    const [text, weights] = [`${name}.param`, `${name}.bin`];
    FS.writeFile(text, param);
    FS.writeFile(weights, bin);
    try {
      const handle = this.within((room) => this.module._engine_load(room.text(text), room.text(weights)));
      if (!handle) throw this.error();
      return new Net(this, handle);
    } finally {
      FS.unlink(text);
      FS.unlink(weights);
    }
  }

  /** The first numbers of numpy.random.RandomState(seed).randn(), as float32. @param {number} seed @param {number} count */
  normal(seed, count) {
    return this.within((room) => {
      const at = room.take(4 * count);
      this.module._engine_normal(seed, count, at);
      return this.floats.slice(at / 4, at / 4 + count);
    });
  }

  /** An image of about -1..1, [C, H, W] -> levels, [H, W, C]. @param {Tensor} image @returns {Uint8Array<ArrayBuffer>} */
  levels({ sizes, values }) {
    return this.within((room) => {
      const channels = sizes[0] ?? 1;
      const [from, to] = [room.floats(values), room.take(values.length)];
      this.check(this.module._engine_levels(from, channels, values.length / channels, to));
      return this.bytes.slice(to, to + values.length);
    });
  }

  error() {
    const said = this.module.UTF8ToString(this.module._engine_error());
    const more = this.printed.splice(0).slice(-2).join("; ");
    return new NetError(said && more ? `${said} (${more})` : said || more || "ncnn failed");
  }

  /** @param {number} code */
  check(code) {
    if (code < 0) throw this.error();
    return code;
  }

  /**
   * Lends memory of the module to some work.
   * @template T
   * @param {(room: Room) => T} work
   */
  within(work) {
    const room = new Room(this);
    try {
      return work(room);
    } finally {
      room.close();
    }
  }
}

/** Memory of the module, given back together. */
class Room {
  /** @type {number[]} */
  #taken = [];

  /** @param {Nets} nets */
  constructor(nets) {
    this.nets = nets;
    this.module = nets.module;
  }

  /** @param {number} bytes */
  take(bytes) {
    const at = this.module._malloc(Math.max(16, bytes));
    if (!at) throw new NetError("out of memory: close other pages, or take a smaller model");
    this.#taken.push(at);
    return at;
  }

  /** @param {string} text */
  text(text) {
    const size = this.module.lengthBytesUTF8(text) + 1;
    const at = this.take(size);
    this.module.stringToUTF8(text, at, size);
    return at;
  }

  /** @param {Float32Array} values */
  floats(values) {
    const at = this.take(4 * values.length);
    this.nets.floats.set(values, at / 4);
    return at;
  }

  /** @param {number[]} values */
  ints(values) {
    const at = this.take(4 * values.length);
    this.nets.ints.set(values, at / 4);
    return at;
  }

  close() {
    for (const at of this.#taken) this.module._free(at);
  }
}

export class Net {
  /** @param {Nets} nets @param {number} handle */
  constructor(nets, handle) {
    this.nets = nets;
    this.handle = handle;
  }

  close() {
    this.nets.module._engine_free(this.handle);
    this.handle = 0;
  }

  /** What the file declares, [] for nothing. Throws NetError where there is no such input. @param {string} name */
  input(name) {
    const { nets, handle } = this;
    return nets.within((room) => {
      const at = room.take(16);
      const count = nets.check(nets.module._engine_input(handle, room.text(name), at));
      return Array.from(nets.ints.slice(at / 4, at / 4 + count));
    });
  }

  /** @param {string} name */
  has(name) {
    return this.nets.within((room) => this.nets.module._engine_blob(this.handle, room.text(name)) === 0);
  }

  /**
   * Computes all outputs: the seconds of each layer, and the sizes of blobs, [] of those that were not made; problem: why
   * it did not come to its end. Throws NetError for inputs that do not fit.
   * @param {Record<string, Tensor>} inputs
   * @param {number} layers  how many there are
   * @param {string[]} blobs
   */
  walk(inputs, layers, blobs) {
    const { nets, handle } = this;
    const { module } = nets;
    return nets.within((room) => {
      try {
        this.#give(room, inputs);
        const count = module._engine_layers(handle);
        if (count !== layers) throw new NetError(`the net has other layers than its text: expected ${layers}, got ${count}`);
        const at = room.take(8 * count), sizes = room.take(16);
        const problem = module._engine_walk(handle, at) < 0 ? nets.error().message : "";
        const seconds = problem ? [] : Array.from(new Float64Array(nets.bytes.slice(at, at + 8 * count).buffer));
        const shapes = blobs.map((name) => nets.within((own) => {
          const rank = nets.check(module._engine_walked(handle, own.text(name), sizes));
          return Array.from(nets.ints.slice(sizes / 4, sizes / 4 + rank));
        }));
        return { seconds, shapes, problem };
      } finally {
        module._engine_forget(handle);
      }
    });
  }

  /** @param {Room} room @param {Record<string, Tensor>} inputs */
  #give(room, inputs) {
    const { nets, handle } = this;
    for (const [name, { sizes, values }] of Object.entries(inputs)) {
      nets.check(nets.module._engine_give(handle, room.text(name), room.floats(values), sizes.length, room.ints(sizes)));
    }
  }

  /**
   * Computes blobs. Throws NetError.
   * @param {Record<string, Tensor>} inputs
   * @param {string[]} outputs
   * @returns {Tensor[]}
   */
  run(inputs, outputs) {
    const { nets, handle } = this;
    const { module } = nets;
    return nets.within((room) => {
      try {
        this.#give(room, inputs);
        nets.check(module._engine_run(handle, room.text(outputs.join("\n"))));
        const at = room.take(16);
        return outputs.map((_, i) => {
          const count = nets.check(module._engine_sizes(handle, i, at));
          const sizes = Array.from(nets.ints.slice(at / 4, at / 4 + count));
          const length = sizes.reduce((product, size) => product * size, 1);
          const to = room.take(4 * length);
          module._engine_values(handle, i, to);
          return { sizes, values: nets.floats.slice(to / 4, to / 4 + length) };
        });
      } finally {
        module._engine_forget(handle);
      }
    });
  }
}
