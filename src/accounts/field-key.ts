import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { openSecretFile } from './secret-file.ts'

const CIPHER = 'aes-256-gcm'
/** 96 bits, drawn anew for each text: NIST SP 800-38D allows 2^32 of them under one key. */
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** What was sealed does not open: another key, another place, or it was changed. */
export class SealBroken extends Error {
  constructor(context: string, why: string) {
    super(`个人信息解不开（${context}）：${why}`)
    this.name = 'SealBroken'
  }
}

/** Encrypts personal data field by field, with a key that is not in the database. */
export interface FieldKey {
  /** @param context `NUMBER/FIELD`: what is sealed for one place opens in no other */
  seal(text: string, context: string): string
  /** @throws {SealBroken} */
  open(sealed: string, context: string): string
}

/**
 * Reads the key file, or makes one. The first line seals, the lines below it still open what they sealed: a new key goes on
 * top. A sealed text reads `KEY-ID.BASE64URL(nonce, ciphertext, tag)`.
 * @throws {BadSecretFile}
 */
export function openFieldKey(file: string): FieldKey {
  const keys = openSecretFile(file)
  const byId = new Map(keys.map((key) => [idOf(key), key]))
  const [current] = keys
  const currentId = idOf(current)
  return {
    seal(text, context) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(CIPHER, current, nonce).setAAD(Buffer.from(context))
      const sealed = [nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]
      return `${currentId}.${Buffer.concat(sealed).toString('base64url')}`
    },
    open(sealed, context) {
      const [id = '', body = ''] = sealed.split('.')
      const key = byId.get(id)
      if (key === undefined) throw new SealBroken(context, `密钥文件里没有编号 ${id} 的密钥，请恢复原来的密钥文件。`)
      const bytes = Buffer.from(body, 'base64url')
      try {
        const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
        decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-TAG_BYTES))
        const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES))
        return Buffer.concat([text, decipher.final()]).toString('utf8')
      } catch {
        throw new SealBroken(context, '内容被改动过，或者不是这一处的。请运行 npm run admin -- verify 核查。')
      }
    }
  }
}

/** Names a key without telling it. */
function idOf(key: Buffer): string {
  return createHash('sha256').update('zhengxun field key\n').update(key).digest('hex').slice(0, 8)
}
