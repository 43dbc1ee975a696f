/** The Anthropic SDK with only its base URL and key changed. */
import Anthropic from '@anthropic-ai/sdk'

const client = new Anthropic({ baseURL: process.env.BURSAR_URL, apiKey: process.env.BURSAR_KEY })
const answer = await client.messages.create({
  model: 'claude-haiku-4-5',
  max_tokens: 50,
  messages: [{ role: 'user', content: 'What does a bursar do?' }],
})
const [first] = answer.content
process.stdout.write(`${first?.type === 'text' ? first.text : ''}\n`)
