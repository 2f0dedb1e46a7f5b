import createError from '@fastify/error'

export const EmptyQuestion = createError('EMPTY_QUESTION', '请写出您要问的事，比如“医保怎么转到江北”。', 400)
export const QuestionTooLong = createError<[string]>('QUESTION_TOO_LONG', '问题太长了，请缩短到%s个字以内。', 413)
export const UnknownZone = createError<[string]>('UNKNOWN_ZONE', '没有编号为%s的专区。', 400)
