/** A string table as plain buffers. */
export interface StringTableParts {
  /** All strings one after another, in UTF-16 units. */
  text: Uint16Array
  /** Where each string starts in `text`; one more for the end. */
  starts: Uint32Array
  /** Open-addressing hash, number + 1; 0 = free. Its length is a power of two. */
  slots: Uint32Array
}

/**
 * Strings numbered in order of arrival, held in typed arrays: a worker hands over a million terms without a copy,
 * and no Map has to be filled on the main thread.
 */
export class StringTable {
  #text: Uint16Array
  #starts: Uint32Array
  #slots: Uint32Array
  #size: number

  constructor(parts?: StringTableParts) {
    this.#text = parts?.text ?? new Uint16Array(256)
    this.#starts = parts?.starts ?? new Uint32Array(64)
    this.#slots = parts?.slots ?? new Uint32Array(64)
    this.#size = parts === undefined ? 0 : parts.starts.length - 1
  }

  get size(): number {
    return this.#size
  }

  /** The string's number; -1 when it is not held. */
  find(string: string): number {
    return (this.#slots[this.#slotOf(string)] as number) - 1
  }

  /** The string's number, a new one when it was not held. */
  intern(string: string): number {
    let slot = this.#slotOf(string)
    const held = this.#slots[slot] as number
    if (held !== 0) return held - 1
    if (this.#size * 2 >= this.#slots.length) {
      this.#grow()
      slot = this.#slotOf(string)
    }
    const start = this.#starts[this.#size] as number
    const end = start + string.length
    if (end > this.#text.length) this.#text = grown(Uint16Array, this.#text, end)
    if (this.#size + 2 > this.#starts.length) this.#starts = grown(Uint32Array, this.#starts, this.#size + 2)
    for (let i = 0; i < string.length; i++) this.#text[start + i] = string.charCodeAt(i)
    this.#starts[this.#size + 1] = end
    this.#slots[slot] = ++this.#size
    return this.#size - 1
  }

  at(number: number): string {
    let string = ''
    const end = this.#starts[number + 1] as number
    for (let i = this.#starts[number] as number; i < end; i++) string += String.fromCharCode(this.#text[i] as number)
    return string
  }

  parts(): StringTableParts {
    return {
      text: this.#text.slice(0, this.#starts[this.#size]),
      starts: this.#starts.slice(0, this.#size + 1),
      slots: this.#slots
    }
  }

  /** Where the string stands, or the free slot where it would. */
  #slotOf(string: string): number {
    const { length } = string
    const mask = this.#slots.length - 1
    let hash = 0x811c9dc5
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ string.charCodeAt(i), 0x01000193)
    hash ^= hash >>> 15
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot] as number
      if (number === 0) return slot
      const start = this.#starts[number - 1] as number
      if ((this.#starts[number] as number) - start !== length) continue
      let i = 0
      while (i < length && this.#text[start + i] === string.charCodeAt(i)) i++
      if (i === length) return slot
    }
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2)
    for (let number = 0; number < this.#size; number++) this.#slots[this.#slotOf(this.at(number))] = number + 1
  }
}

function grown<T extends Uint16Array | Uint32Array>(make: new (length: number) => T, array: T, atLeast: number): T {
  const copy = new make(Math.max(atLeast, array.length * 2))
  copy.set(array)
  return copy
}
