/**
 * Office hours: a platform team's own plugin. Refuses requests outside opening hours and on weekends, and tags the rest.
 *
 *   plugins: [{ path: ./examples/office-hours.ts, options: { open: "08:00", close: "18:00", timezone: Europe/Berlin } }]
 */
import { Type } from '@sinclair/typebox'
import { definePlugin } from 'bursar'

const TIME = '^([01]\\d|2[0-3]):[0-5]\\d$'

export default definePlugin({
  name: 'office-hours',
  optionsSchema: Type.Object(
    {
      open: Type.String({ pattern: TIME, default: '08:00' }),
      close: Type.String({ pattern: TIME, default: '18:00' }),
      timezone: Type.String({ default: 'UTC' }),
    },
    { additionalProperties: false },
  ),
  refusals: { outside_office_hours: 403 },

  beforeAdmission({ now }, { open, close, timezone }) {
    const local = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timezone)
    const time = local.toPlainTime().toString({ smallestUnit: 'minute' })
    const isWorkday = local.dayOfWeek <= 5
    if (isWorkday && open <= time && time < close) return { tags: ['office-hours'] }
    const message = `Models answer on workdays from ${open} to ${close} (${timezone}); it is ${time} now.`
    return { refuse: { code: 'outside_office_hours', message } }
  },
})
