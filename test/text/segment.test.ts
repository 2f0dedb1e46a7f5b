import t from 'tap'
import { initialsOf, pinyinOf } from '../../src/text/pinyin.ts'
import { openPlaces } from '../../src/text/places.ts'
import { openSegmenter } from '../../src/text/segment.ts'
import { bigramsOf, charactersOf } from '../../src/text/tokens.ts'

const vocabulary = { words: ['老年人优待证'], synonyms: [{ standard: '基本医疗保险', others: ['医保'] }] }

t.test('the district’s words stay whole, everyday words become standard ones, numbers stay together', async (t) => {
  const { tokens } = openSegmenter(vocabulary)
  t.ok(tokens('老年人优待证怎么办').words.includes('老年人优待证'))
  t.same(tokens('医保').words, ['基本医疗保险'])
  t.same(tokens('３.5元 〔2021〕39号 abc').words, ['3.5', '元', '2021-39', '号', 'abc'])
  t.same(tokens('，。！？').words, [])
})

t.test('another vocabulary is another identity, the same one the same', async (t) => {
  const { identity } = openSegmenter(vocabulary)
  t.equal(openSegmenter(structuredClone(vocabulary)).identity, identity)
  t.not(openSegmenter({ words: [], synonyms: [] }).identity, identity)
  t.not(openSegmenter({ ...vocabulary, synonyms: [] }).identity, identity)
})

t.test('characters and pairs leave out punctuation and do not join across it', async (t) => {
  t.same(charactersOf('医保,2026年'), ['医', '保', '2026', '年'])
  t.same(bigramsOf('医保,2026年'), ['医保', '2026年'])
  t.same(bigramsOf('证'), ['证'])
})

t.test('pinyin by syllable and by initials', async (t) => {
  t.same(pinyinOf('医保转移，怎么办'), ['yi', 'bao', 'zhuan', 'yi', 'zen', 'me', 'ban'])
  t.equal(initialsOf(pinyinOf('医保转移')), 'ybzy')
})

t.test('places: home, its city, elsewhere, and words that only look like places', async (t) => {
  const places = openPlaces('重庆市江北区', [{ id: '观音桥街道', aliases: ['观音桥'] }])
  const elsewhere = (text: string) =>
    places
      .find(text)
      .filter((place) => places.isElsewhere(place))
      .map(({ name }) => name)
  t.same(
    places.find('观音桥办证').map(({ name }) => name),
    ['观音桥街道']
  )
  t.same(elsewhere('江北区的低保'), [])
  t.same(elsewhere('重庆的低保'), [])
  t.same(elsewhere('成都医保'), ['成都市'])
  t.same(elsewhere('渝北区公租房'), ['渝北区'])
  t.same(elsewhere('北京朝阳区'), ['北京市', '朝阳区'])
  t.same(elsewhere('创建和平安定的大同社会'), [])
})
