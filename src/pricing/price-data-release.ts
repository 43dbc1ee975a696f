/**
 * When the bundled price data was published; it carries no date of its own (`npm view @pydantic/genai-prices time`). A test holds the version
 * to the installed one.
 */
export const PRICE_DATA = { version: '0.1.8', publishedAt: '2026-09-23T10:11:04Z' }
