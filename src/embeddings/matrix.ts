import { type DotMachine, dotOf, openDotMachine, ROW_BYTES_MULTIPLE } from './dot-product.ts'

/** Rows whose products are worked out in one call; their results take a fixed place before the rows. */
const TILE = 16_384
/** Room is made by a quarter more at a time. */
const GROWTH = 1.25

/** Vectors packed row by row in one memory, to be multiplied with a question's; freed rows are used again. */
export class Matrix {
  readonly dimension: number
  readonly #machine: DotMachine
  readonly #rowBytes: number
  readonly #products: number
  readonly #rows: number
  #count = 0
  readonly #free: number[] = []

  constructor(dimension: number, machine = openDotMachine()) {
    this.dimension = dimension
    this.#machine = machine
    this.#rowBytes = Math.ceil((dimension * 2) / ROW_BYTES_MULTIPLE) * ROW_BYTES_MULTIPLE
    // The question stands at 0, then the products of a tile, then the rows.
    this.#products = this.#rowBytes
    this.#rows = this.#products + TILE * 4
    machine.reserve(this.#rows)
  }

  /** Rows in use and freed ones among them. */
  get count(): number {
    return this.#count
  }

  /** Takes a vector in and returns its row. */
  add(vector: Int16Array): number {
    const row = this.#free.pop() ?? this.#count++
    const end = this.#rows + (row + 1) * this.#rowBytes
    if (end > this.#machine.buffer().byteLength) this.#machine.reserve(Math.ceil(end * GROWTH))
    this.#write(this.#rows + row * this.#rowBytes, vector)
    return row
  }

  /** Frees a row; its products are 0 until it is used again. */
  remove(row: number): void {
    this.#write(this.#rows + row * this.#rowBytes, new Int16Array(this.dimension))
    this.#free.push(row)
  }

  /**
   * The products of all rows with a question's vector, so many rows at a time.
   * @param take reads the products of the rows from `first` on before it returns
   */
  multiply(query: Int16Array, take: (products: Int32Array, first: number) => void): void {
    this.#write(0, query)
    for (let first = 0; first < this.#count; first += TILE) {
      const rows = Math.min(TILE, this.#count - first)
      const at = this.#rows + first * this.#rowBytes
      this.#machine.dot(at, 0, this.#products, at + rows * this.#rowBytes, this.#rowBytes)
      take(new Int32Array(this.#machine.buffer(), this.#products, rows), first)
    }
  }

  /** One row's product. */
  product(row: number, query: Int16Array): number {
    const numbers = new Int16Array(this.#machine.buffer(), this.#rows + row * this.#rowBytes, this.#rowBytes / 2)
    let sum = 0
    // Four at a time as far as that goes; the dimension need not be a multiple of four.
    const whole = this.dimension - (this.dimension % 4)
    sum += dotOf(numbers, 0, query, 0, whole)
    for (let i = whole; i < this.dimension; i++) sum += (numbers[i] as number) * (query[i] as number)
    return sum
  }

  #write(at: number, vector: Int16Array): void {
    if (vector.length !== this.dimension) throw new RangeError(`${vector.length} numbers, not ${this.dimension}`)
    new Int16Array(this.#machine.buffer(), at, vector.length).set(vector)
  }
}
