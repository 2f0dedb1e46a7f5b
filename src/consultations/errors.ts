import createError from '@fastify/error'

export const EmptyQuestion = createError('EMPTY_QUESTION', '请写出您要问的事，比如“医保怎么转到江北”。', 400)
export const QuestionTooLong = createError<[string]>('QUESTION_TOO_LONG', '问题太长了，请缩短到%s个字以内。', 413)
export const UnknownZone = createError<[string]>('UNKNOWN_ZONE', '没有编号为%s的专区。', 400)

/** Unknown number, wrong check digit and wrong code alike: a number alone reveals nothing. */
export const ConsultationNotFound = createError(
  'CONSULTATION_NOT_FOUND',
  '没有查到。请核对登记编号和查询码，它们印在登记回单上；不清楚的请问咨询台。',
  404
)
export const KeyMissing = createError(
  'IDEMPOTENCY_KEY_MISSING',
  '请求缺少 Idempotency-Key：请给每次登记一个不重复的标识（8 至 200 个字符），重发时用同一个，就不会重复登记。',
  400
)
export const KeyReused = createError(
  'IDEMPOTENCY_KEY_REUSED',
  '这个登记标识已经用于另一件咨询，没有再登记。请刷新页面后重新填写。',
  422
)
export const NothingToSettle = createError<[string]>('NOT_IN_BANK', '%s', 422)
export const Stale = createError<[string, string]>(
  'STALE',
  '这件咨询刚刚被别人办理过，现在是“%s”（第 %s 步）。请刷新后看清楚再办。',
  409
)
export const NotNow = createError<[string]>('NOT_ALLOWED_NOW', '%s', 409)
export const BadAction = createError<[string]>('BAD_ACTION', '%s', 422)
export const NoticeUnseen = createError(
  'NOTICE_UNSEEN',
  '请先看个人信息告知（用途、保存多久、怎么查改删），再提交：noticeSeen 要写 true。',
  400
)
