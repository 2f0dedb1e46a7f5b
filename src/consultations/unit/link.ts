import { type Actor, ROLE_NAMES } from '../../accounts/roles.ts'
import type { Parts } from '../../parts.ts'
import { readLink } from '../links.ts'
import { findTicket } from '../records.ts'
import type { Ticket } from '../ticket.ts'
import type { Access } from './form.ts'

export interface LinkProblem {
  heading: string
  text: string
  advice: readonly string[]
}

export const LINK_STATUS = { expired: 410, forged: 403, gone: 404 } as const

export const LINK_PROBLEMS: Readonly<Record<keyof typeof LINK_STATUS, LinkProblem>> = {
  expired: {
    heading: '链接已经过期',
    text: '这条办理链接过了有效期，不能再用。',
    advice: ['还要办这件咨询的，请打电话给区政务公开办，重新发一条链接。', '有账号的，请登录后在“待办”里办理。']
  },
  forged: {
    heading: '链接不完整或者不对',
    text: '这条办理链接打不开，多半是复制时少了几个字符。',
    advice: ['请回到通知里，直接点开原来的链接，不要手抄。', '还是打不开的，请打电话给区政务公开办重新发送。']
  },
  gone: {
    heading: '这件咨询已经不在您单位',
    text: '它已经退回、改派给别的单位，或者由咨询台办理了，您不用再办。',
    advice: ['认为应由您单位答复的，请打电话给区政务公开办。']
  }
}

export const RETURNED: LinkProblem = {
  heading: '已退回',
  text: '这件咨询已退回，由咨询台另行交办。您不用再办，可以关掉这一页。',
  advice: []
}

type Opened = { kind: 'open'; access: Access; ticket: Ticket } | { kind: keyof typeof LINK_STATUS }

const TOKEN = /^[\w-]+\.[\w-]+$/

/** The one ticket a link opens, for the unit it was made for while that is competent. */
export async function openLink(parts: Parts, token: string): Promise<Opened> {
  if (!TOKEN.test(token)) return { kind: 'forged' }
  const holder = readLink(parts.secret, token, parts.now())
  if (holder === null) {
    // Signed by us, but for another day.
    return { kind: readLink(parts.secret, token, new Date(0)) === null ? 'forged' : 'expired' }
  }
  const { number, unit, role } = holder
  const ticket = await findTicket(parts.db, number)
  if (ticket === null || ticket.unit !== unit) return { kind: 'gone' }
  const units = await parts.library.all('unit')
  const actor: Actor = {
    id: 'link',
    // One name for each role: who drafts by a link and who approves by another are two.
    username: `链接:${unit}:${role}`,
    name: `${units.get(unit)?.content.name ?? unit}${ROLE_NAMES[role]}（链接）`,
    role,
    zone: null,
    unit,
    sample: ticket.chain === 'sample',
    roles: [{ unit, role, standsInFor: null }],
    approvesOwn: []
  }
  return { kind: 'open', access: { actor, path: `/t/${token}`, link: holder }, ticket }
}
