import createError from '@fastify/error'

export const LedgerNotFound = createError<[string, string]>(
  'LEDGER_NOT_FOUND',
  '没有“%s”这本台账。现有：%s；文件格式有 xlsx、csv、json。',
  404
)
export const BadLedgerFilter = createError<[string]>('BAD_LEDGER_FILTER', '%s', 400)
export const ForeignLedger = createError<[string]>('FOREIGN_LEDGER', '%s', 403)
