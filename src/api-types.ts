import * as z from 'zod'

/** Shapes of the public API (docs/architecture.md). Schemas decide what leaves the server. */
const validity = z.enum(['current', 'amended', 'repealed', 'expired', 'pending'])
const UnitRef = z.object({ id: z.string(), name: z.string() })

const Basis = z.object({
  document: z.string(),
  number: z.string().nullable(),
  title: z.string(),
  clause: z.string().nullable(),
  validity
})

const Hit = z.object({
  id: z.string(),
  kind: z.enum(['qa', 'document']),
  title: z.string(),
  text: z.string(),
  highlights: z.array(z.object({ start: z.number().int(), end: z.number().int() })),
  unit: UnitRef.nullable(),
  version: z.number().int(),
  updatedOn: z.string(),
  validity,
  basis: z.array(Basis),
  confidence: z.number(),
  why: z.array(z.string()),
  passage: z.object({ anchor: z.string(), clause: z.string().nullable() }).nullable(),
  sample: z.boolean(),
  successor: z.object({ document: z.string(), title: z.string() }).nullable()
})

export const Answer = z.object({
  queryId: z.string().nullable(),
  decision: z.enum(['answer', 'choose', 'escalate']),
  confidence: z.number(),
  hits: z.array(Hit),
  guidance: z
    .object({
      unit: UnitRef,
      reason: z.string(),
      phone: z.string().nullable(),
      address: z.string().nullable(),
      hours: z.string().nullable(),
      likely: z
        .array(z.object({ id: z.string(), name: z.string(), probability: z.number() }))
        .describe('The likely units, best first, at most three')
    })
    .nullable(),
  degraded: z.boolean(),
  tookMs: z.number()
})

export const Suggestion = z.object({ text: z.string(), id: z.string() })

export const Unit = z.object({
  id: z.string(),
  name: z.string(),
  aliases: z.array(z.string()),
  kind: z.string(),
  parent: z.string().nullable(),
  duties: z.array(z.string()),
  phone: z.string().nullable(),
  address: z.string().nullable(),
  hours: z.string().nullable(),
  fax: z.string().nullable(),
  website: z.string().nullable(),
  guide: z.string().nullable(),
  acceptsApplications: z.boolean(),
  reviewBody: z.string().nullable(),
  verifiedOn: z.string().nullable(),
  sample: z.boolean()
})

export const Zone = z.object({
  id: z.string(),
  name: z.string(),
  venueKind: z.enum(['SC', 'TC', 'AL', 'CV']),
  areas: z.array(z.enum(['query', 'reading', 'application', 'consultation', 'board'])),
  unit: UnitRef,
  address: z.string().nullable(),
  hours: z.string().nullable(),
  phone: z.string().nullable(),
  location: z.string().nullable(),
  sample: z.boolean()
})

export const Qa = z.object({
  id: z.string(),
  question: z.string(),
  variants: z.array(z.string()),
  answer: z.string(),
  materials: z.array(z.string()),
  steps: z.array(z.string()),
  fee: z.string().nullable(),
  place: z.string().nullable(),
  duration: z.string().nullable(),
  basis: z.array(Basis),
  unit: UnitRef.nullable(),
  audience: z.array(z.enum(['person', 'business'])),
  topic: z.string().nullable(),
  effectiveOn: z.string().nullable(),
  expiresOn: z.string().nullable(),
  reviewBy: z.string().nullable(),
  validity,
  version: z.number().int(),
  updatedOn: z.string(),
  retired: z.boolean(),
  sample: z.boolean(),
  hash: z.string()
})

export const Document = z.object({
  id: z.string(),
  title: z.string(),
  indexNumber: z.string().nullable(),
  number: z.string().nullable(),
  issuers: z.array(UnitRef),
  issuerName: z.string().nullable(),
  category: z.string(),
  topic: z.string().nullable(),
  genre: z.string().nullable(),
  writtenOn: z.string().nullable(),
  publishedOn: z.string().nullable(),
  effectiveOn: z.string().nullable(),
  expiresOn: z.string().nullable(),
  validity,
  successor: z.string().nullable(),
  changedBy: z.string().nullable(),
  disclosure: z.string().nullable(),
  level: z.string().nullable(),
  keywords: z.array(z.string()),
  summary: z.string().nullable(),
  interpretation: z.string().nullable(),
  passages: z.array(
    z.object({ anchor: z.string(), heading: z.string(), clause: z.string().nullable(), text: z.string() })
  ),
  version: z.number().int(),
  updatedOn: z.string(),
  retired: z.boolean(),
  sample: z.boolean(),
  hash: z.string()
})

export const ProblemBody = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  detail: z.string(),
  instance: z.string()
})
