import { createHmac } from 'node:crypto'
import { createTransport } from 'nodemailer'
import type { Config } from '../config.ts'

/** What became of one try to send. `final`: another try would fare no better. The error holds no personal data. */
export type Outcome = { kind: 'sent'; note: string | null } | { kind: 'failed'; error: string; final: boolean }

/** Ours: a gateway or mail server that says nothing for so long is down. */
export const SEND_TIMEOUT_MS = 10_000
/** Connections to the mail server, and mails on their way at once. */
export const MAILS_AT_ONCE = 5
const LONGEST_ERROR = 200

export interface Mail {
  to: string
  subject: string
  text: string
  /** Equal on every try, so that a mail server can drop a second copy. */
  id: string
}

export interface Mailer {
  send(mail: Mail): Promise<Outcome>
  close(): void
}

/** Opens the pool; connects with the first mail. */
export function openMailer({ url, from }: NonNullable<Config['mail']>, timeoutMs = SEND_TIMEOUT_MS): Mailer {
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: MAILS_AT_ONCE,
    // Tries are counted here, not in the pool.
    ...{ maxRequeues: 0 },
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true
  })
  // A broken idle connection concerns no mail; without a listener it would end the process.
  transport.on('error', () => {})
  const domain = from.slice(from.lastIndexOf('@') + 1)
  return {
    async send({ to, subject, text, id }) {
      try {
        await transport.sendMail({ from, to: { name: '', address: to }, subject, text, messageId: `<${id}@${domain}>` })
        return { kind: 'sent', note: null }
      } catch (error) {
        const { message, responseCode = 0, command = '' } = error as Error & { responseCode?: number; command?: string }
        // What is refused for good (RFC 5321 4.2.1: 5xx); a refused sign-in or greeting is ours to mend, and then goes.
        const final = responseCode >= 500 && /^(MAIL|RCPT|DATA)/.test(command)
        return { kind: 'failed', error: `邮件服务器：${message}`.slice(0, LONGEST_ERROR), final }
      }
    },
    close: () => transport.close()
  }
}

export interface WebhookBody {
  /** Equal on every try: receivers drop what they have. */
  id: string
  kind: string
  number: string
  /** User name, `unit:ID:ROLE` where nobody there has an account, or `citizen`. */
  recipient: string
  text: string
  url: string
  /** Only for citizens: the SMS gateway needs it. */
  phone?: string
}

/** Calls the gateway, signed: HMAC-SHA256 over `TIMESTAMP.BODY`, timestamp in seconds. */
export async function callWebhook(
  { url, secret }: NonNullable<Config['webhook']>,
  body: WebhookBody,
  now: Date,
  timeoutMs = SEND_TIMEOUT_MS
): Promise<Outcome> {
  const text = JSON.stringify(body)
  const timestamp = String(Math.floor(now.getTime() / 1000))
  const signature = createHmac('sha256', secret).update(`${timestamp}.${text}`).digest('hex')
  try {
    const response = await fetch(url, {
      method: 'POST',
      // A redirect would carry a phone to an address nobody configured.
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'x-zhengxun-signature': `sha256=${signature}`,
        'x-zhengxun-timestamp': timestamp,
        'x-zhengxun-id': body.id
      },
      body: text
    })
    await response.body?.cancel()
    if (response.ok) return { kind: 'sent', note: null }
    return { kind: 'failed', error: `推送地址：返回 ${response.status}`, final: false }
  } catch (error) {
    return { kind: 'failed', error: `推送地址：${reasonOf(error)}`.slice(0, LONGEST_ERROR), final: false }
  }
}

/** Why a call failed, without what was sent. */
function reasonOf(error: unknown): string {
  const { name, message, cause } = error as Error
  if (name === 'TimeoutError') return '超时没有回应'
  const { code, message: reason } = (cause ?? {}) as { code?: string; message?: string }
  return code ?? reason ?? message
}
