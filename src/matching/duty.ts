import type { Question } from './features.ts'

/** Why a question may not be the district's to answer (R29). */
export type NotOurs =
  | { kind: 'elsewhere'; places: string }
  /** `who`: whom to ask instead, in words. */
  | { kind: 'other'; who: string }
  | { kind: 'no policy' }

/**
 * Matters that no district decides, with who does. Only read once the bank has found nothing sure: what the bank does answer
 * (legal aid for a lawsuit) is answered.
 */
const OTHERS: readonly [RegExp, string][] = [
  [/国家公务员|国考|省考|公务员(?:考试|招考|报名)|事业单位(?:考试|招考)/, '国家或市里的人事考试机构'],
  [/高考|分数线|考研|志愿填报|自考|四六级|教师资格证/, '市教育考试院'],
  [/利率|lpr|存款|贷款利息|信用卡|征信|理财|股票|基金|彩票/, '有关银行或金融机构'],
  [/etc|高速.{0,6}(?:过路费|通行费|收费|扣)|过路费/, '高速公路的运营单位'],
  [/火车票|高铁|12306|机票|航班|行李托运/, '铁路或航空公司'],
  [/打官司|起诉|立案|开庭|判决|上诉|抚养权|离婚官司|强制执行/, '人民法院，或者先向区里的法律援助机构问清楚'],
  [/关税|进口.{0,6}税|出口退税|海关|报关/, '税务机关或海关'],
  [
    /过渡系数|并轨|延迟退休|渐进式|退休年龄.{0,4}(?:推迟|延长)|个税起征/,
    '制定这项全国规定的机关，区里可请区人力社保局、区税务局解释'
  ],
  [/快递|外卖|网购|宽带|话费|流量套餐|停电|燃气(?:费|表)/, '提供这项服务的企业，或拨打12345转有关部门'],
  [/签证|大使馆|绿卡|移民到|移民去/, '外交部门或国家移民管理机构']
]

/** What asks for no policy at all. */
const NO_POLICY =
  /写.{0,4}(?:作文|总结|诗|文章|小说|报告|检讨)|讲.{0,3}(?:笑话|故事)|唱.{0,2}歌|天气|下雨|气温|机器人|真人|你是谁|你叫什么|你会.{0,4}(?:什么|啥)|算命|星座|菜谱|怎么炒|翻译|电影|电视剧|比分|球赛|游戏|谈恋爱|喜欢我|饭桶|吃干饭|混蛋|傻|滚|妈的|成功率高的医院|哪家医院好/

/** Why a question may not be the district's to answer; null when nothing says so. */
export function notOurs({ elsewhere, places, text }: Pick<Question, 'elsewhere' | 'places' | 'text'>): NotOurs | null {
  if (elsewhere) return { kind: 'elsewhere', places: places.map(({ name }) => name).join('、') }
  const other = OTHERS.find(([pattern]) => pattern.test(text))
  if (other !== undefined) return { kind: 'other', who: other[1] }
  return NO_POLICY.test(text) ? { kind: 'no policy' } : null
}
