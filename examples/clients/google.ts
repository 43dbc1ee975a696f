/** Google's Gen AI SDK with only its base URL and key changed. */
import { GoogleGenAI } from '@google/genai'

const { BURSAR_URL: baseUrl = '', BURSAR_KEY: apiKey = '' } = process.env
const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl } })
const answer = await client.models.generateContent({
  model: 'gemini-2.5-flash',
  config: { maxOutputTokens: 50 },
  contents: 'What does a bursar do?',
})
process.stdout.write(`${answer.text}\n`)
