import type { FastifyRequest } from 'fastify'
import QRCode from 'qrcode'
import { actorOn } from '../../accounts/guard.ts'
import { qaAnswer, versionLabel } from '../../bank/pages.ts'
import type { Zone } from '../../content/kinds.ts'
import type { Item, Library } from '../../content/library.ts'
import type { Parts } from '../../parts.ts'
import { facts, fullName, headOf, linksOf } from '../../views/models.ts'
import { dayLabel } from '../../views/text.ts'
import type { Contact as ContactBlock, Fact } from '../../views/views.ts'
import { readStored } from '../contacts.ts'
import { trackPath } from '../intake.ts'
import { dueLine, timeLabel } from '../shown.ts'
import { STATE_NAMES, type Ticket, OPEN } from '../ticket.ts'
import { hrefOf } from './lists.ts'

declare module '../../views/views.ts' {
  interface Pages {
    slip: {
      head: Head
      title: string
      zone: string
      number: string
      code: string | null
      qr: string | null
      question: string
      facts: Fact[]
      advice: string[]
      answer: { title: string; paragraphs: string[]; materials: string[]; basis: string[]; record: string } | null
      contact: Fact[]
      back: string
    }
    'contact-slip': {
      head: Head
      zone: string
      number: string
      question: string
      unit: ContactBlock
      materials: string[]
      entry: string | null
      verified: string
      contact: Fact[]
      back: string
    }
  }
}

export const zoneFacts = (zone: Item<Zone> | null): Fact[] =>
  zone === null
    ? []
    : facts(['咨询台电话', zone.content.phone], ['地址', zone.content.address], ['时间', zone.content.hours])

export async function slipOf(parts: Parts, request: FastifyRequest, ticket: Ticket) {
  const { library, db, fieldKey, config, today } = parts
  const actor = actorOn(request)
  const zone = (await library.all('zone')).get(ticket.zone) ?? null
  // The code opens the citizen's view: the desk hands it over, nobody else needs it.
  const stored = actor.zone === ticket.zone ? await readStored(db, fieldKey, ticket.number) : null
  const code = stored === null || stored.code === '' ? null : stored.code
  const origin = config.publicUrl ?? `${request.protocol}://${request.host}`
  const svg =
    code === null ? null : await QRCode.toString(`${origin.replace(/\/$/, '')}${trackPath(ticket.number, code)}`, QR)
  const units = await library.all('unit')
  const unit = units.get(ticket.unit ?? ticket.guidedTo ?? '')?.content ?? null
  const item = ticket.entry === null ? null : await library.get('qa', ticket.entry.id)
  const told = item === null ? null : await qaAnswer(library, item, linksOf(ticket.zone), today())
  const isSettled = ticket.due === null
  return {
    head: await headOf(library, { title: `登记回单 ${ticket.number}`, zone, sample: ticket.chain === 'sample' }),
    title: item !== null ? '政策咨询答复单' : '政策咨询登记回单',
    zone: zone === null ? '' : fullName(zone.content.name),
    number: ticket.number,
    code,
    qr: svg === null ? null : `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`,
    question: ticket.question,
    facts: facts(
      ['登记时间', timeLabel(ticket.registeredAt)],
      ['办理情况', STATE_NAMES[ticket.state]],
      [ticket.guidedTo === null ? '答复单位' : '请联系', unit?.name ?? (isSettled ? null : '咨询台正在确定')],
      ['单位电话', unit?.phone ?? null],
      ['答复期限', ticket.due === null ? null : dueLine(ticket.due)]
    ),
    advice: !OPEN.has(ticket.state)
      ? ['回去以后还有不清楚的，带这张单子来，或者打下面的电话。']
      : [
          '答复单位会按您留的电话联系您，请留意来电。',
          '想知道办到哪一步：扫二维码，或者打开查询页输入编号和查询码。',
          '查询码请收好，别人拿到也能看到您的咨询。'
        ],
    answer:
      item === null || told === null
        ? null
        : {
            title: told.title,
            paragraphs: told.paragraphs.map((parts) => parts.map((part) => part.text).join('')),
            materials: told.materials,
            basis: told.basis.map(({ title, number, clauses }) =>
              [title, number, clauses.map((clause) => clause.text).join('、')].filter((part) => part).join(' ')
            ),
            record: `${item.content.id}　${versionLabel(item.version)}　${dayLabel(item.changedOn)}更新　${told.validity.text}${
              item.version === ticket.entry?.version
                ? ''
                : `（登记时是${versionLabel(ticket.entry?.version ?? 0)}，以上是现行内容）`
            }`
          },
    contact: zoneFacts(zone),
    back: hrefOf(ticket.number)
  }
}

/** Quiet zone of one module: paper around it is white anyway. Level M stands a crease. */
const QR = { type: 'svg', margin: 1, errorCorrectionLevel: 'M' } as const

/** The entry of the unit the search came nearest to, for the papers to bring; null where nothing came near. */
export async function entryFor(library: Library, { search, entry }: Ticket, unit: string) {
  const keys = [entry?.id, ...search.candidates.map(({ key }) => /^qa\/(.+)$/.exec(key)?.[1])]
  if (search.decision === 'escalate' && entry === null) return null
  for (const id of keys) {
    const item = id === undefined ? null : await library.get('qa', id)
    if (item !== null && !item.retired && item.content.unit === unit) return item
  }
  return null
}
