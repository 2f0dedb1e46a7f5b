const RUNS = /[\p{Script=Han}]|[a-z0-9]+(?:\.[0-9]+)?|[\p{L}\p{N}]/gu

/** Single characters of normalised text: each Chinese character, each run of letters or digits; punctuation is dropped. */
export function charactersOf(text: string): string[] {
  return text.match(RUNS) ?? []
}

const SPANS = /(?:[\p{L}\p{N}]|(?<=[0-9])\.(?=[0-9]))+/gu

/** Adjacent pairs of characters within one unbroken span of normalised text; a span of one character yields itself. */
export function bigramsOf(text: string): string[] {
  const pairs: string[] = []
  for (const [span] of text.matchAll(SPANS)) {
    const characters = charactersOf(span)
    if (characters.length === 1) pairs.push(characters[0] as string)
    for (let i = 1; i < characters.length; i++) pairs.push(`${characters[i - 1]}${characters[i]}`)
  }
  return pairs
}
