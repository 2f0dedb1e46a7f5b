type NumberArray = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float32Array

/** A typed array that grows by doubling; read `array` only below `length`. */
export class Growing<T extends NumberArray> {
  array: T
  length = 0
  readonly #make: new (
    length: number
  ) => T

  constructor(make: new (length: number) => T, capacity = 64) {
    this.#make = make
    this.array = new make(capacity)
  }

  push(value: number): void {
    if (this.length === this.array.length) this.reserve(1)
    this.array[this.length++] = value
  }

  /** Room for `more` values beyond `length`; what was there stays. */
  reserve(more: number): void {
    if (this.length + more <= this.array.length) return
    const grown = new this.#make(Math.max(this.length + more, this.array.length * 2))
    grown.set(this.array)
    this.array = grown
  }

  /** A copy of exactly the values pushed. */
  trimmed(): T {
    return this.array.slice(0, this.length) as T
  }
}

/** Every buffer inside a plain structure of typed arrays, to hand it to another thread without a copy. */
export function buffersOf(parts: object): ArrayBuffer[] {
  return Object.values(parts).flatMap((part: unknown) => {
    if (ArrayBuffer.isView(part)) return [part.buffer as ArrayBuffer]
    return typeof part === 'object' && part !== null ? buffersOf(part) : []
  })
}
