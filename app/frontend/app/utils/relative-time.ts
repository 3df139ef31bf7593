const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_557_600], ['month', 2_629_800], ['week', 604_800], ['day', 86_400], ['hour', 3_600], ['minute', 60],
]

/** "3 minutes ago". Clocks of two machines differ a little: what seems to lie ahead is "just now". */
export function relativeTime(moment: string | Date, now = Date.now(), locale = 'en'): string {
  const seconds = (new Date(moment).getTime() - now) / 1000
  const step = steps.find(([, length]) => -seconds >= length)
  if (!step) return 'just now'
  return new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(Math.ceil(seconds / step[1]), step[0])
}

export function fullTime(moment: string | Date, locale?: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short' }).format(new Date(moment))
}
