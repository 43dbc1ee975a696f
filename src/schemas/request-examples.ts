/** Request examples: a body for each route of the admin API that takes one. The tests send every one of them. */

const ID = '019a9f3c-5d1e-7cc0-8a11-3f1b2c4d5e6f'

/** Method and path → body. Where none is named, the route takes an empty object. */
export const REQUEST_EXAMPLES: Readonly<Record<string, object>> = {
  'POST /api/customers': {
    name: 'acme',
    limits: [{ metric: 'cost', max: '500', window: '1M', align: 'calendar', timezone: 'Europe/Berlin' }],
  },
  'PATCH /api/customers/{id}': { metadata: { cost_center: '4711' } },
  'POST /api/teams': { name: 'research', limits: [{ metric: 'cost', max: '100', window: '1M', align: 'calendar' }] },
  'PATCH /api/teams/{id}': { name: 'research and development' },
  'POST /api/users': {
    name: 'ada',
    email: 'ada@example.com',
    max_ips: 5,
    limits: [{ metric: 'tokens', max: 200_000, window: 'daily', model: 'gpt-4*' }],
    virtual_key: { allowed_ips: ['10.0.0.0/8'] },
  },
  'PATCH /api/users/{id}': { note: 'On leave until March.' },
  'PUT /api/users/{id}': { name: 'grace', kind: 'special' },
  'POST /api/users/bulk': { users: [{ name: 'edsger' }, { name: 'barbara', max_ips: 3 }] },
  'POST /api/users/{id}/disable': { reason: 'Contract ended.' },
  'POST /api/virtual-keys': {
    name: 'notebook',
    expires_at: '2099-01-01T00:00:00Z',
    limits: [
      { metric: 'cost', max: '10', window: '1d' },
      { metric: 'requests', max: 60, window: '1m', align: 'sliding' },
    ],
  },
  'PATCH /api/virtual-keys/{id}': { active: false },
  'POST /api/virtual-keys/{id}/rotate': { grace: '1h' },
  'POST /api/limits': { scope: { kind: 'global' }, metric: 'tokens', max: 2_000_000, window: '1m', model: 'gpt-4o*' },
  'PATCH /api/limits/{id}': { max: 3_000_000, alert_at: ['0.5', '0.9', '1'] },
  'PUT /api/limits/{id}/override': { max: 9_000_000, windows: 1 },
  'POST /api/providers': {
    name: 'openai',
    kind: 'openai',
    keys: [{ name: 'main', value: 'sk-proj-an-example-only', weight: 1 }],
  },
  'PATCH /api/providers/{id}': { timeout_ms: 120_000 },
  'POST /api/prices': {
    provider: 'openai',
    model: 'gpt-4o*',
    input_usd_per_million: '2.50',
    output_usd_per_million: '10',
    cache_read_usd_per_million: '1.25',
  },
  'PATCH /api/prices/{id}': { output_usd_per_million: '9.50' },
  'POST /api/management-keys': { name: 'ci', role: 'viewer' },
  'PATCH /api/management-keys/{id}': { role: 'admin' },
  'POST /api/config/dry-run': {
    teams: [{ name: 'research', limits: [{ metric: 'cost', max: '100', window: '1M', align: 'calendar' }] }],
  },
  'POST /api/explain': {
    virtual_key_id: ID,
    path: '/v1/chat/completions',
    body: { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 100 },
  },
}
