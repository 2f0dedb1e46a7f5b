/** What the command line names cannot be used: one sentence a problem, exit code 2, no stack trace. */
export class BadInput extends Error {
  constructor(problems: string | readonly string[]) {
    super([problems].flat().join('\n'))
    this.name = 'BadInput'
  }
}
