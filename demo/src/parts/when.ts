// Times as a person says them.

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const day = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'long', year: 'numeric' })

/** "just now", "5 minutes ago", "yesterday", "3 May 2026". Nothing for a time that is none. */
export function when(time: string | number | undefined): string {
  if (time === undefined) return ''
  const moment = new Date(time)
  if (Number.isNaN(moment.getTime())) return ''
  const minutes = Math.round((Date.now() - moment.getTime()) / 60_000)
  if (minutes < 1) return 'just now'
  if (minutes < 60) return relative.format(-minutes, 'minute')
  if (minutes < 24 * 60) return relative.format(-Math.round(minutes / 60), 'hour')
  if (minutes < 7 * 24 * 60) return relative.format(-Math.round(minutes / (24 * 60)), 'day')
  return day.format(moment)
}
