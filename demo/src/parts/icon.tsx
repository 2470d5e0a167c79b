// Every drawn sign of the app, as inline SVG on a grid of 24 units. Signs are decoration: the text beside them, or the
// control's label, says what is meant.

const drawings = {
  journey:
    'M12 21s-7-6.2-7-11.5A7 7 0 0 1 19 9.5C19 14.8 12 21 12 21zM12 12.2a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4z',
  countries:
    'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM3.2 12h17.6M12 3c2.6 2.5 3.9 5.5 3.9 9s-1.3 6.5-3.9 9c-2.6-2.5-3.9-5.5-3.9-9S9.4 5.5 12 3z',
  notes: 'M6 3.5h9l4 4V20.5H6zM15 3.5v4h4M9 12h7M9 16h5',
  reviews:
    'M7 7.5a2.25 2.25 0 1 0 0-4.5 2.25 2.25 0 0 0 0 4.5zM7 21a2.25 2.25 0 1 0 0-4.5 2.25 2.25 0 0 0 0 4.5zM17 21a2.25 2.25 0 1 0 0-4.5 2.25 2.25 0 0 0 0 4.5zM7 7.5v9M17 16.5V11a4 4 0 0 0-4-4h-2.5M12.5 4.5 10 7l2.5 2.5',
  sync: 'M20 11a8 8 0 0 0-14.5-3.7L3.5 9.5M3.5 4.5v5h5M4 13a8 8 0 0 0 14.5 3.7l2-2.2M20.5 19.5v-5h-5',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20.5 20.5 16 16',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  heart: 'M12 20s-7.5-4.7-7.5-10.2A4.3 4.3 0 0 1 12 7.1a4.3 4.3 0 0 1 7.5 2.7C19.5 15.3 12 20 12 20z',
  plus: 'M12 5v14M5 12h14',
  cross: 'M6 6l12 12M18 6 6 18',
  back: 'M14.5 5.5 8 12l6.5 6.5',
  forward: 'M9.5 5.5 16 12l-6.5 6.5',
  cloud: 'M7 18.5a4.5 4.5 0 0 1-.6-8.96A6 6 0 0 1 18 11a3.8 3.8 0 0 1-.5 7.5z',
  offline: 'M7 18.5a4.5 4.5 0 0 1-.6-8.96M9.5 6.4A6 6 0 0 1 18 11a3.8 3.8 0 0 1 2.1 6.3M17.5 18.5H7M4 4l16 16',
  warning: 'M12 4 2.8 20h18.4zM12 10v4.5M12 17.2v.1',
  trash: 'M4.5 7h15M9 7V4.5h6V7M6.5 7l1 13h9l1-13M10 11v5.5M14 11v5.5',
  pen: 'M4.5 19.5l1-4L16 5l3 3L8.5 18.5z',
  person: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c.8-3.8 3.8-6 7.5-6s6.7 2.2 7.5 6',
  filter: 'M4 6.5h16M7 12h10M10 17.5h4',
} as const

export type Sign = keyof typeof drawings

export function Icon({ sign, size = 20 }: { sign: Sign; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={drawings[sign]} />
    </svg>
  )
}
