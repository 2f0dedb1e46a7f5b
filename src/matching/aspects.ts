/** What a question asks of its matter. Two questions on one matter that ask different things need different answers. */
export const ASPECTS = [
  'amount',
  'when',
  'duration',
  'where',
  'who',
  'papers',
  'how',
  'whether',
  'why',
  'what'
] as const
type Aspect = (typeof ASPECTS)[number]

/** How each is asked, formally and in speech (Chongqing: 啥子, 好多钱, 哪个, 咋个). */
const ASKED: Record<Aspect, RegExp> = {
  amount:
    /多少|好多钱|几钱|几块|多高|金额|额度|标准是|补贴标准|费用|收费|价格|租金|比例|几成|贵不贵|要钱|几万|几千|几百|多大/,
  when: /什么时候|啥时候|啥子时候|何时|几点|几号|几月|哪天|哪年|哪一年|截止|时间|日期|起算|开始|多会儿/,
  duration: /多久|多长时间|几天|几年|几个月|多少天|多少年|期限|有效期|几个工作日/,
  where: /哪里|哪儿|在哪|到哪|去哪|何处|地点|地址|什么地方|啥地方|哪个地方|哪个窗口|哪点|网址|网站|路径|入口|渠道/,
  who: /谁|哪些人|什么人|哪个部门|什么部门|哪个单位|哪些企业|哪类|对象|哪些群体|条件|资格|符合/,
  papers: /材料|证件|带什么|带啥|带哪些|手续|资料|证明|准备什么|准备哪些|要交什么|要啥子|需要什么/,
  how: /怎么|如何|怎样|咋|流程|步骤|程序|方式|方法|办法|怎办/,
  whether: /吗|是否|能不能|可不可以|可以不|有没有|要不要|会不会|是不是|能否|可否|行不行|得不得|么$/,
  why: /为什么|为何|为啥|咋会|原因|怎么会|凭什么/,
  what: /什么是|是什么|是啥|指什么|什么意思|含义|定义|哪些|包括|内容|介绍/
}

/** What a text holds that could answer each; aspects without an entry leave no trace in an answer. */
const EVIDENCE: Partial<Record<Aspect, RegExp>> = {
  amount: /\d+(?:\.\d+)?(?:元|万|块|%|亿|折|倍|千|百)|免费|不收费|不收取/,
  when: /\d+(?:年|月|日|号|点|时|:\d)|工作日|周[一二三四五六日]|每年|每月|即日/,
  duration: /\d+(?:个)?(?:工作日|天|日|年|月|小时|分钟|周)|当场|当天|长期|即时|及时/,
  where: /路\d*|街|号|楼|窗口|大厅|中心|网|app|小程序|公众号|平台|社区|街道|派出所|医院/,
  who: /人员|居民|企业|单位|家庭|以上|以下|符合|条件|户籍|年满|职工|学生|部门|局/,
  papers: /证|表|材料|证明|合同|照片|复印件|户口|原件|书/,
  whether: /可以|不可以|能|不能|不得|无需|不需要|需要|应当|可|是|有/,
  why: /因为|因|由于|为了|原因|所以|导致/
}

/** Bits of the aspects a normalised question asks. */
export function askedAspects(text: string): number {
  let bits = 0
  ASPECTS.forEach((aspect, at) => {
    if (ASKED[aspect].test(text)) bits |= 1 << at
  })
  return bits
}

/** Bits of the aspects a normalised text could answer; those that leave no trace count as answered. */
export function answeredAspects(text: string): number {
  let bits = 0
  ASPECTS.forEach((aspect, at) => {
    if (EVIDENCE[aspect]?.test(text) ?? true) bits |= 1 << at
  })
  return bits
}
