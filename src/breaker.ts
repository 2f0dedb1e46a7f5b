/** Failures one after the other that open it. */
const FAILURES = 3

/** Keeps questions away from a server that fails, and lets one through now and then to see whether it is back. */
export class Breaker {
  readonly #openMs: number
  #failures = 0
  #nextTrial = 0

  /** @param openMs how long no question goes through once it is open */
  constructor(openMs: number) {
    this.#openMs = openMs
  }

  get open(): boolean {
    return this.#failures >= FAILURES
  }

  /** Whether a question may go through now; while open, one each `openMs`. */
  lets(now: number): boolean {
    if (!this.open) return true
    if (now < this.#nextTrial) return false
    this.#nextTrial = now + this.#openMs
    return true
  }

  succeeded(): void {
    this.#failures = 0
  }

  failed(now: number): void {
    this.#failures++
    if (this.open) this.#nextTrial = now + this.#openMs
  }
}
