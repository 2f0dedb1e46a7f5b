/** A cluster that is set up but cannot be used: what is wrong, and what the operator does about it. */
export class ClusterProblem extends Error {
  readonly remedy: string

  constructor(what: string, remedy: string) {
    super(what)
    this.name = 'ClusterProblem'
    this.remedy = remedy
  }
}
