import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { run } from '../../bench/quality.ts'
import { readSample } from '../../bench/samples.ts'
import { THRESHOLDS } from '../../src/matching/confidence.ts'
import { absent } from '../peers.ts'
import { temporaryFolder } from '../test-app.ts'

// A node of Elasticsearch may have to wait for another test's.
t.setTimeout(600_000)

const KEYS = [
  'hit1',
  'mrr10',
  'ndcg10',
  'auroc',
  'c90',
  'c95',
  'precisionAtThreshold',
  'coverageAtThreshold',
  'falseAnswerRate'
]
const HOSTILE = '<script>alert("高龄津贴")</script>'

/** Ids as other systems write them, fields as they leave them out. */
const BANK = [
  { id: '政策/高龄津贴#1', question: '高龄津贴怎么申请', answer: `${HOSTILE}带身份证到社区申请。`, unit: null },
  { id: `${'a'.repeat(200)}`, question: '公租房怎么申请', answer: '在网上申请公租房。', variants: ['廉租房咋个申请'] },
  { id: '../3', question: '失业金怎么领', answer: null, doc: 'x' },
  { id: '4', question: '', answer: '老年人优待证由街道办理，需要一寸照片。' },
  { id: '5', question: null, answer: '新生儿落户带出生医学证明到派出所办理。', unit: '公安' },
  { id: '6', question: '医保怎么转移到江北', variants: null }
]
const QUERIES = [
  { id: 'q1', text: '高龄津贴怎么申请', relevant: ['政策/高龄津贴#1'], kind: 'x' },
  { id: 'q2', text: '廉租房咋个申请', relevant: ['a'.repeat(200)] },
  { id: 'q3', text: '失业金怎么领', relevant: ['../3'] },
  { id: 'q4', text: '娃儿落户要带出生医学证明吗', relevant: ['5'] },
  { id: 'q5', text: HOSTILE, relevant: ['4'] },
  { id: 'q6', text: '月球上有几座火山', relevant: [] },
  { id: 'q7', text: '？', relevant: [] }
]

function files(t: Test, bank: unknown[] | string, queries: unknown[] | string) {
  const folder = temporaryFolder(t)
  const write = (name: string, rows: unknown[] | string) => {
    const file = join(folder, name)
    writeFileSync(file, typeof rows === 'string' ? rows : rows.map((row) => JSON.stringify(row)).join('\n'))
    return file
  }
  return { folder, bank: write('bank.jsonl', bank), queries: write('queries.jsonl', queries) }
}

async function quality(args: readonly string[]) {
  const runner = fileURLToPath(new URL('../../bench/run.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import=tsx', runner, 'quality', ...args], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { code: code as number, output, errors }
}

t.test('a bank of any origin is measured, and the last line is one JSON object', async (t) => {
  const { bank, queries } = files(t, BANK, QUERIES)
  const { code, output, errors } = await quality([
    '--bank',
    bank,
    '--queries',
    queries,
    '--engine',
    'embedded',
    '--json'
  ])
  t.equal(code, 0, errors)
  const figures = JSON.parse(output.trim().split('\n').at(-1) ?? '') as Record<string, unknown>
  for (const key of KEYS) {
    const value = figures[key]
    t.ok(typeof value === 'number' && value >= 0 && value <= 100, `${key}: ${value}`)
  }
  t.match(figures, { entries: BANK.length, queries: QUERIES.length, unanswerable: 2 })
  const { msP50, msP95 } = figures as { msP50: number; msP95: number }
  t.ok(msP50 > 0 && msP95 >= msP50)
  t.ok((figures.hit1 as number) >= 60, 'three of five are asked in the bank’s own words')
  t.equal((figures.reliability as unknown[]).length, 10)
})

t.test('both engines give the same figures', { skip: absent('Elasticsearch'), timeout: 600_000 }, async (t) => {
  const { bank, queries } = files(t, BANK, QUERIES)
  const measured: unknown[] = []
  for (const engine of ['embedded', 'elasticsearch']) {
    const { code, output, errors } = await quality(['--bank', bank, '--queries', queries, '--engine', engine, '--json'])
    t.equal(code, 0, errors)
    const { msP50, msP95, ...figures } = JSON.parse(output.trim().split('\n').at(-1) ?? '')
    measured.push(figures)
  }
  t.same(measured[0], measured[1])
})

t.test('the threshold is learnt on other files, and the report holds no text as markup', async (t) => {
  const { folder, bank, queries } = files(t, BANK, QUERIES)
  const report = join(folder, 'report.html')
  const figures = await run({ json: true, bank, queries, thresholdFrom: [bank, queries], report })
  // Learnt on the very same questions: where anything is answered, 95 % of it is right.
  if ((figures.answered as number) > 0) t.ok((figures.precisionAtThreshold as number) >= 95)
  t.not(figures.threshold, THRESHOLDS.answer)
  const page = readFileSync(report, 'utf8')
  t.notMatch(page, '<script')
  t.match(page, '&lt;script&gt;')
  const titles = ['Wrong instant answers', 'Unanswerable questions answered', 'questions escalated', 'Wrong first hits']
  const places = titles.map((title) => page.indexOf(title))
  t.ok(places.every((place) => place > 0))
  t.same(
    places,
    [...places].sort((a, b) => a - b)
  )
})

t.test('what cannot be used ends the run with a sentence and code 2', async (t) => {
  const cases: { name: string; bank: unknown[] | string; queries: unknown[] | string; says: RegExp[] }[] = [
    {
      name: 'an id the bank does not hold',
      bank: BANK,
      queries: [QUERIES[0], { id: 'q9', text: '？', relevant: ['nowhere'] }],
      says: [/queries\.jsonl, line 2, id "q9": relevant id "nowhere" is not in the bank .*bank\.jsonl\./]
    },
    {
      name: 'an id twice',
      bank: [...BANK, BANK[2]],
      queries: QUERIES,
      says: [/bank\.jsonl, line 7: id "\.\.\/3" stands in line 3 already\./]
    },
    { name: 'an empty bank', bank: '\n', queries: QUERIES, says: [/bank\.jsonl holds no entries/] }
  ]
  for (const { name, bank, queries, says } of cases) {
    const made = files(t, bank, queries)
    const { code, output, errors } = await quality(['--bank', made.bank, '--queries', made.queries, '--json'])
    t.equal(code, 2, name)
    t.equal(output, '', `${name}: no figures`)
    for (const sentence of says) t.match(errors, sentence)
    t.equal(errors.trim().split('\n').length, 1, `${name}: one sentence\n${errors}`)
  }
})

t.test('options that cannot be met are refused', async (t) => {
  const { folder, bank, queries } = files(t, BANK, QUERIES)
  const cases: [options: Record<string, unknown>, sentence: RegExp][] = [
    [{ bank }, /--bank needs --queries beside it/],
    [{ bank: true, queries }, /--bank takes one value/],
    [{ bank, queries, engine: 'other' }, /there are embedded and elasticsearch/],
    [{ bank, queries, thresholdFrom: bank }, /--threshold-from takes two files/],
    [{ bank, queries, report: join(folder, 'absent', 'r.html') }, /there is no folder/],
    [{ bank, queries, report: folder }, /is there and is no file/],
    [{ bank, queries, embeddings: 'ftp://x/v1' }, /--embeddings ftp:/],
    [{ bank, queries, treshold: '1' }, /--treshold is no option/],
    [{ sets: 'absent' }, /--sets absent: there are .*corpus/]
  ]
  for (const [options, sentence] of cases) {
    await t.rejects(run({ json: true, ...options }), { name: 'BadInput', message: sentence }, sentence.source)
  }
})

t.test('each bad row is named with its file and line', async (t) => {
  const problem = (bank: unknown[] | string, queries: unknown[] | string) => {
    const made = files(t, bank, queries)
    try {
      readSample(made.bank, made.queries)
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  const rows = (...lines: unknown[]) =>
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\r\n')
  t.equal(problem(`\ufeff${rows(...BANK)}\r\n\r\n`, rows(...QUERIES)), '', 'BOM, CRLF and blank lines are no problem')
  t.equal(problem([{ id: 1 }], [{ id: 2, text: '医保', relevant: [1] }]), '', 'numbers are ids too')
  t.match(problem(rows(BANK[0], '{"id": '), QUERIES), /bank\.jsonl, line 2: not a JSON object/)
  t.match(problem(rows('["a"]'), QUERIES), /bank\.jsonl, line 1: not a JSON object/)
  t.match(problem([{ question: '医保' }], QUERIES), /bank\.jsonl, line 1: the row has no id/)
  t.match(problem([{ id: 'a', question: 3 }], QUERIES), /line 1, id "a": question is no text/)
  t.match(problem([{ id: 'a', variants: 'b' }], QUERIES), /line 1, id "a": variants is no list of texts/)
  t.match(problem(BANK, []), /queries\.jsonl holds no queries/)
  t.match(
    problem(BANK, [{ id: 'q', text: ' ', relevant: [] }]),
    /queries\.jsonl, line 1, id "q": the query has no text/
  )
  t.match(problem(BANK, [{ id: 'q', text: '医保' }]), /line 1, id "q": relevant is no list of bank ids/)
  t.match(problem(BANK, [QUERIES[0], QUERIES[1], QUERIES[0]]), /line 3: id "q1" stands in line 1 already/)
  const many = problem(
    BANK,
    Array.from({ length: 30 }, (_, at) => ({ id: at, text: '医保', relevant: ['x\ny'] }))
  )
  t.equal(many.split('\n').length, 11, 'ten are told, the rest is counted')
  t.match(many, /and 20 more/)
  const { folder, bank } = files(t, BANK, QUERIES)
  t.throws(() => readSample(join(folder, 'absent.jsonl'), bank), /There is no file .*absent\.jsonl/)
  t.throws(() => readSample(folder, bank), /is no file/)
  writeFileSync(bank, Buffer.from([0x7b, 0xff, 0xfe]))
  t.throws(() => readSample(bank, bank), /is not UTF-8/)
})
