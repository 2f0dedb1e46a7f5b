import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'

/** A secret's file cannot be used as it is; says why and what to do. */
export class BadSecretFile extends Error {
  constructor(file: string, problem: string) {
    super(`密钥文件不能使用，未启动：${file} ${problem}`)
    this.name = 'BadSecretFile'
  }
}

/** 256 bits: what AES-256 takes, and as much as HMAC-SHA256 gains from. */
const SECRET_BYTES = 32
const SECRET = new RegExp(`^[0-9a-f]{${SECRET_BYTES * 2}}$`)

/**
 * Reads secrets of 32 random bytes kept as hex, one a line, in a file of mode 0600; makes one where there is no file.
 * Programs that start together share it: a complete file is linked into place, and the link that comes second fails.
 * @returns the one in use first, then those it replaced
 * @throws {BadSecretFile} where others may read it, or it holds anything else
 */
export function openSecretFile(file: string): [Buffer, ...Buffer[]] {
  return read(file) ?? make(file)
}

function make(file: string): [Buffer, ...Buffer[]] {
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    const handle = openSync(draft, 'wx', 0o600)
    try {
      writeSync(handle, `${randomBytes(SECRET_BYTES).toString('hex')}\n`)
      // What is sealed with a key that a power cut takes is lost.
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    linkSync(draft, file)
    const folder = openSync(dirname(file), 'r')
    fsyncSync(folder)
    closeSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new BadSecretFile(file, `无法新建（${(error as Error).message}）。请检查目录的写权限和磁盘空间。`)
    }
  } finally {
    rmSync(draft, { force: true })
  }
  const made = read(file)
  if (made === null) throw new BadSecretFile(file, '刚建立就不见了。请检查是否有别的程序在清理数据目录。')
  return made
}

function read(file: string): [Buffer, ...Buffer[]] | null {
  let text: string
  try {
    const { mode } = statSync(file)
    if ((mode & 0o077) !== 0) {
      throw new BadSecretFile(file, `别的用户也能读写（权限 ${(mode & 0o777).toString(8)}）。请运行 chmod 600 改好。`)
    }
    text = readFileSync(file, 'utf8').trim()
  } catch (error) {
    if (error instanceof BadSecretFile) throw error
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new BadSecretFile(file, `读不出来（${(error as Error).message}）。请检查它属于运行服务的用户。`)
  }
  const secrets = text.split(/\s+/)
  if (!secrets.every((secret) => SECRET.test(secret))) {
    throw new BadSecretFile(
      file,
      `内容不对：每行应是 ${SECRET_BYTES * 2} 位十六进制数字。请恢复原来的文件；丢了它，已加密的个人信息就再也读不出来。`
    )
  }
  return secrets.map((secret) => Buffer.from(secret, 'hex')) as [Buffer, ...Buffer[]]
}
