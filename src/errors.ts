import createError from '@fastify/error'

/** What is asked for by its code does not exist. */
export const NotFound = createError<[string, string]>('NOT_FOUND', '没有找到%s：%s。', 404)
