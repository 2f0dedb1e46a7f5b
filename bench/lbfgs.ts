/** What is minimised: returns the loss and writes its gradient. */
export type Objective = (at: Float64Array, gradient: Float64Array) => number

const MEMORY = 8
/** Sufficient decrease (Armijo). */
const DECREASE = 1e-4
const SMALLEST_STEP = 1e-10
/** Relative gain at which nothing more is to be had. */
const ENOUGH = 1e-7

/** Minimises a smooth convex function (L-BFGS with backtracking); deterministic. */
export function minimise(objective: Objective, start: Float64Array, iterations: number): Float64Array {
  const size = start.length
  let x = start.slice()
  let gradient = new Float64Array(size)
  let loss = objective(x, gradient)
  const history: { s: Float64Array; y: Float64Array; rho: number }[] = []
  for (let iteration = 0; iteration < iterations; iteration++) {
    const direction = gradient.map((value) => -value)
    const alphas: number[] = []
    for (const { s, y, rho } of [...history].reverse()) {
      const alpha = rho * inner(s, direction)
      alphas.push(alpha)
      add(direction, y, -alpha)
    }
    const last = history.at(-1)
    if (last !== undefined) scale(direction, 1 / (last.rho * inner(last.y, last.y)))
    else scale(direction, 1 / Math.max(1, Math.sqrt(inner(gradient, gradient))))
    history.forEach(({ s, y, rho }, at) => {
      const beta = rho * inner(y, direction)
      add(direction, s, (alphas[history.length - 1 - at] as number) - beta)
    })
    const slope = inner(gradient, direction)
    if (slope >= 0) break
    let step = 1
    const next = new Float64Array(size)
    const nextGradient = new Float64Array(size)
    let nextLoss = Number.POSITIVE_INFINITY
    for (; step > SMALLEST_STEP; step /= 2) {
      next.set(x)
      add(next, direction, step)
      nextLoss = objective(next, nextGradient)
      if (nextLoss <= loss + DECREASE * step * slope) break
    }
    if (nextLoss >= loss) break
    const s = next.map((value, at) => value - (x[at] as number))
    const y = nextGradient.map((value, at) => value - (gradient[at] as number))
    const curvature = inner(s, y)
    if (curvature > 1e-12) {
      history.push({ s, y, rho: 1 / curvature })
      if (history.length > MEMORY) history.shift()
    }
    const gain = (loss - nextLoss) / Math.max(Math.abs(loss), 1e-12)
    x = next
    gradient = nextGradient
    loss = nextLoss
    if (gain < ENOUGH) break
  }
  return x
}

function inner(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let at = 0; at < a.length; at++) sum += (a[at] as number) * (b[at] as number)
  return sum
}

function add(to: Float64Array, what: Float64Array, times: number): void {
  for (let at = 0; at < to.length; at++) to[at] = (to[at] as number) + times * (what[at] as number)
}

function scale(what: Float64Array, by: number): void {
  for (let at = 0; at < what.length; at++) what[at] = (what[at] as number) * by
}
