import createError from '@fastify/error'

export const NotSignedIn = createError('NOT_SIGNED_IN', '请先登录；如果用的是令牌，它可能已经停用。', 401)
export const NotAllowed = createError<[string, string]>('NOT_ALLOWED', '这一步由%s办理，您的身份是%s。', 403)
export const BadCsrf = createError(
  'BAD_CSRF',
  '没有收到页面的防伪码，什么也没有改动。请刷新页面，再提交一次；用接口时请带 x-csrf-token。',
  403
)
export const ChangePasswordFirst = createError(
  'CHANGE_PASSWORD_FIRST',
  '请先把初始密码改成自己的密码（登录后打开 /password），再办理业务。',
  403
)
export const BadAccount = createError<[string]>('BAD_ACCOUNT', '%s', 400)
export const ForeignForm = createError('FOREIGN_FORM', '登录表单不是从本站打开的，请从 /login 重新登录。', 403)
