/** The bodies of the estimate report: what people send, and what is hard on an estimate. The same at each run. */

export interface Body {
  readonly name: string
  readonly messages: readonly object[]
  readonly tools?: readonly object[]
}

function said(name: string, ...texts: readonly string[]): Body {
  const messages = texts.map((content, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content }))
  return { name, messages }
}

const ENGLISH =
  'Could you look over the plan for the migration and tell me what we have missed? We move the invoices first, then the customers, and in the last week everything that refers to both of them. '
const GERMAN =
  'Bitte prüfen Sie den Entwurf der Vereinbarung auf Widersprüche und nennen Sie die Absätze, die vor der Unterzeichnung geändert werden müssen. '
const CHINESE = '请检查这份迁移计划，并告诉我们遗漏了什么。首先迁移发票，然后是客户，最后一周处理所有与两者相关的数据。'
const JAPANESE =
  '移行計画を確認して、抜けている点を教えてください。最初に請求書、次に顧客、最後の週に両方に関連するものを移します。'
const RUSSIAN = 'Проверьте, пожалуйста, план переноса данных и скажите, что мы упустили. Сначала счета, затем клиенты. '
const HINDI = 'कृपया स्थानांतरण योजना की जाँच करें और बताएँ कि हमसे क्या छूट गया है। पहले चालान, फिर ग्राहक। '
const ARABIC = 'يرجى مراجعة خطة الترحيل وإخبارنا بما فاتنا. ننقل الفواتير أولاً ثم العملاء. '
const CODE = `export function settle(hold: Hold, actual: Amounts): ResolveOutcome {
  const open = this.#opened(hold)
  if (open === null) return \`already_\${hold.state}\`
  for (const { slot, amount } of open.charges) this.meters.resolve(slot, amount)
  return 'done'
}
`
const RECORDS = JSON.stringify(
  Array.from({ length: 60 }, (_, at) => ({
    id: `0192f3a4-${String(at).padStart(4, '0')}-7c3e-9b1d-5f2a8c6e4d10`,
    amount: (at * 37.25).toFixed(2),
    currency: 'EUR',
    paid: at % 3 === 0,
    due: '2026-11-21T12:00:00Z',
  })),
)

function bytes(length: number): Buffer {
  let state = 12_345
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state >>> 24
    }),
  )
}

const TOOLS = ['search_invoices', 'get_customer', 'create_credit_note', 'list_payments'].map((name) => ({
  type: 'function',
  function: {
    name,
    description: `Calls ${name.replaceAll('_', ' ')} in the accounting system and returns what it finds, newest first.`,
    parameters: {
      type: 'object',
      properties: {
        customer_id: { type: 'string', description: 'The customer’s id.' },
        from: { type: 'string', format: 'date', description: 'First day, inclusive.' },
        limit: { type: 'integer', minimum: 1, maximum: 100 },
      },
      required: ['customer_id'],
      additionalProperties: false,
    },
  },
}))

/** What a PNG of 1,024 × 1,024 pixels begins with. */
const PNG_START = Buffer.from('89504e470d0a1a0a0000000d494844520000040000000400', 'hex')
const PNG = Buffer.concat([PNG_START, bytes(90_000)])
const IMAGE = { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG.toString('base64')}` } }

export const BODIES: readonly Body[] = [
  said('one line', 'What is the capital of Peru?'),
  said('chat, English', ENGLISH, ENGLISH.repeat(3), 'And the second week?', ENGLISH.repeat(2), ENGLISH),
  said('chat, German', GERMAN, GERMAN.repeat(3), GERMAN),
  said('chat, Chinese', CHINESE, CHINESE.repeat(3), CHINESE),
  said('chat, Japanese', JAPANESE, JAPANESE.repeat(3), JAPANESE),
  said('chat, Russian', RUSSIAN, RUSSIAN.repeat(3), RUSSIAN),
  said('chat, Hindi', HINDI, HINDI.repeat(3), HINDI),
  said('chat, Arabic', ARABIC, ARABIC.repeat(3), ARABIC),
  said('code', `Why does this fail?\n${CODE.repeat(12)}`),
  said('long context, English', `${ENGLISH.repeat(400)}\nSummarise.`),
  said('JSON records', `Which of them are overdue?\n${RECORDS}`),
  { ...said('tools', 'Which invoices of customer 4711 are open?'), tools: TOOLS },
  { name: 'image', messages: [{ role: 'user', content: [{ type: 'text', text: 'What is on it?' }, IMAGE] }] },
  said('base64 as text', `Decode this:\n${bytes(6_000).toString('base64')}`),
  said('hex as text', `Decode this:\n${bytes(4_000).toString('hex')}`),
]
