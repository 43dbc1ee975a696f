/** The OpenAI SDK with only its base URL and key changed. */
import OpenAI from 'openai'

const client = new OpenAI({ baseURL: `${process.env.BURSAR_URL}/v1`, apiKey: process.env.BURSAR_KEY })
const answer = await client.chat.completions.create({
  model: 'gpt-4o-mini',
  max_tokens: 50,
  messages: [{ role: 'user', content: 'What does a bursar do?' }],
})
process.stdout.write(`${answer.choices[0]?.message.content}\n`)
