import { pinyin } from 'pinyin-pro'
import { match } from '../src/matching/match.ts'
import type { Parts } from '../src/parts.ts'
import { say } from './asked.ts'
import { BadInput } from './bad-input.ts'
import { random } from './entries.ts'
import { rounded } from './figures.ts'
import { judgedQuestions, ownQuestions } from './judged.ts'
import { withBank, withCorpus } from './quality.ts'
import type { BenchOptions } from './run.ts'
import { CORPUS, chosenSets, filesOf, readSample } from './samples.ts'

export const describe =
  'How much is lost to typing errors and to spoken language? Hit@1 clean and with noise; --sets desk corpus, --share 10, --seed N'

/** The sets whose questions people type themselves. */
const TYPED = ['desk', 'letters', 'covid-faq', 'lcqmc', CORPUS]
const SEED = 20261123
const SHARE = 10

interface Question {
  text: string
  relevant: readonly string[]
}

export async function run(options: BenchOptions): Promise<Record<string, unknown>> {
  const seed = Number(options.seed ?? SEED)
  const share = Number(options.share ?? SHARE) / 100
  if (!Number.isInteger(seed) || seed < 1) throw new BadInput('--seed takes a whole number from 1 on.')
  if (!(share >= 0 && share <= 1)) throw new BadInput('--share takes a percentage, 0 to 100.')
  const embeddings = typeof options.embeddings === 'string' ? options.embeddings : null
  const sets =
    options.sets === undefined ? chosenSets(undefined).filter((set) => TYPED.includes(set)) : chosenSets(options.sets)
  const typing: Record<string, unknown>[] = []
  const spoken: Record<string, unknown>[] = []
  for (const set of sets) {
    const measure = async (parts: Parts, questions: readonly Question[], texts: readonly string[]) => {
      const asked = questions.filter(({ relevant }) => relevant.length > 0)
      const misspell = misspeller([...texts, ...asked.map(({ text }) => text)], seed, share)
      const clean = await firstRight(parts, asked)
      typing.push(await compare(parts, set, asked, clean, misspell))
      spoken.push(await compare(parts, set, asked, clean, inSpeech))
    }
    if (set === CORPUS) {
      const texts = ownQuestions().flatMap((own) => own.texts)
      await withCorpus(embeddings, (parts) => measure(parts, judgedQuestions(), texts))
    } else {
      const { bank, queries } = readSample(...filesOf(set))
      await withBank(bank, embeddings, (parts, recordOf) =>
        measure(
          parts,
          queries.map(({ text, relevant }) => ({ text, relevant: relevant.map(recordOf) })),
          bank.flatMap(({ question, answer }) => [question, answer])
        )
      )
    }
    say(`${set}: ${JSON.stringify(typing.at(-1))} ${JSON.stringify(spoken.at(-1))}`)
  }
  return { seed, sharePercent: rounded(share * 100), typing, spoken }
}

/** Hit@1 before and after the change, percentages, and the points lost: of all questions, and of those it changes at all. */
async function compare(
  parts: Parts,
  set: string,
  questions: readonly Question[],
  clean: readonly boolean[],
  change: (text: string) => string
) {
  const changed = questions.flatMap(({ text, relevant }, at) => {
    const after = change(text)
    return after === text ? [] : [{ text: after, relevant, clean: clean[at] === true }]
  })
  const noisy = count(await firstRight(parts, changed))
  const wasRight = count(clean)
  const lost = count(changed.map((one) => one.clean)) - noisy
  const percent = (some: number, all: number) => rounded((100 * some) / Math.max(all, 1), 1)
  return {
    set,
    questions: questions.length,
    clean: percent(wasRight, questions.length),
    noisy: percent(wasRight - lost, questions.length),
    lost: percent(lost, questions.length),
    changed: changed.length,
    lostOfChanged: percent(lost, changed.length)
  }
}

const count = (rights: readonly boolean[]) => rights.filter((right) => right).length

async function firstRight(parts: Parts, questions: readonly Question[]): Promise<boolean[]> {
  const rights: boolean[] = []
  for (const { text, relevant } of questions) {
    const { candidates } = await match(parts, text)
    rights.push(candidates[0] !== undefined && relevant.includes(candidates[0].hit.id))
  }
  return rights
}

// ---- Typing errors

const HAN = /\p{Script=Han}/u

/**
 * Makes typing errors as an input method makes them: of the Chinese characters a share is replaced by another of the same
 * syllable, left out, or doubled, a third each. Homophones are drawn as often as the texts hold them: a rare one is not what
 * the list of candidates begins with.
 * @param texts where homophones and their frequency are taken from
 */
export function misspeller(texts: readonly string[], seed: number, share: number): (text: string) => string {
  const next = random(seed)
  const counts = new Map<string, number>()
  for (const text of texts) {
    for (const character of text) if (HAN.test(character)) counts.set(character, (counts.get(character) ?? 0) + 1)
  }
  const bySyllable = new Map<string, [string, number][]>()
  for (const [character, count] of counts) {
    const [syllable = ''] = syllablesOf(character)
    bySyllable.set(syllable, [...(bySyllable.get(syllable) ?? []), [character, count]])
  }
  const homophone = (character: string, syllable: string): string | null => {
    const others = (bySyllable.get(syllable) ?? []).filter(([other]) => other !== character)
    let at = next() * others.reduce((sum, [, count]) => sum + count, 0)
    for (const [other, count] of others) {
      at -= count
      if (at < 0) return other
    }
    return null
  }
  return (text) => {
    const characters = [...text]
    const han = characters.flatMap((character, at) => (HAN.test(character) ? [at] : []))
    // Read in the whole sentence: 重庆 is chong, not zhong.
    const syllables = syllablesOf(han.map((at) => characters[at]).join(''))
    // The share is met on average: of 12 characters one is changed, and of every fifth such question two.
    const most = Math.floor(han.length * share + next())
    const places = [...han.keys()]
    for (let n = 0; n < most && places.length > 0; n++) {
      const [place = 0] = places.splice(Math.floor(next() * places.length), 1)
      const at = han[place] ?? 0
      const character = characters[at] ?? ''
      const kind = Math.floor(next() * 3)
      const other = kind === 0 ? homophone(character, syllables[place] ?? '') : null
      characters[at] = other ?? (kind === 2 ? character + character : '')
    }
    return characters.join('')
  }
}

function syllablesOf(han: string): string[] {
  return pinyin(han, { toneType: 'none', type: 'array', v: true })
}

// ---- Spoken language

/** Standard and spoken Chongqing; the longest that fits is replaced, and only where the meaning stays. */
const SPOKEN: readonly (readonly [standard: string, spoken: string])[] = [
  ['什么时候', '好久'],
  ['什么时间', '好久'],
  ['什么地方', '哪个塌塌'],
  ['多长时间', '好久'],
  ['为什么', '为啥子'],
  ['怎么样', '啷个样'],
  ['怎么办', '咋个办'],
  ['多少钱', '好多钱'],
  ['是什么', '是啥子'],
  ['怎么', '啷个'],
  ['怎样', '咋个'],
  ['如何', '咋个'],
  ['什么', '啥子'],
  ['多少', '好多'],
  ['多久', '好久'],
  ['哪里', '哪点'],
  ['哪儿', '哪点'],
  ['谁', '哪个'],
  ['孩子', '娃儿'],
  ['小孩', '娃儿'],
  ['儿童', '娃儿'],
  ['女儿', '女娃儿'],
  ['父亲', '老汉儿'],
  ['爸爸', '老汉儿'],
  ['母亲', '老娘'],
  ['老人', '老人家'],
  ['妻子', '婆娘'],
  ['没有', '没得'],
  ['不知道', '晓不得'],
  ['知道', '晓得'],
  ['现在', '而今'],
  ['目前', '现而今'],
  ['这样', '恁个'],
  ['这么', '恁个'],
  ['一下', '一哈'],
  ['办理', '办'],
  ['需要', '要'],
  ['应该', '该'],
  ['是否', '是不是'],
  ['领取', '领'],
  ['缴纳', '交'],
  ['丢失', '搞落'],
  ['丢了', '搞落了'],
  ['干什么', '做啥子'],
  ['家里', '屋头'],
  ['非常', '嘿'],
  ['吗', '不嘛'],
  ['呢', '嘛']
]

const STANDARD = new RegExp(
  SPOKEN.map(([standard]) => standard)
    .sort((a, b) => b.length - a.length)
    .join('|'),
  'g'
)
const TO_SPOKEN = new Map(SPOKEN)

/** A question as it is said at a counter in Chongqing. */
export function inSpeech(text: string): string {
  return text.replace(STANDARD, (standard) => TO_SPOKEN.get(standard) ?? standard)
}
