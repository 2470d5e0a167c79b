// Where a person writes what shall stand at one place of a review.

import type { Field } from '../data/fields'

interface Properties {
  field: Field
  value: unknown
  names: { cca3: string; name: { common: string } }[]
  onChange: (value: unknown) => void
}

export function OwnValue({ field: { label, kind }, value, names, onChange }: Properties) {
  const common = { 'aria-label': `${label}: your own`, 'data-testid': 'own-value' }
  if (kind === 'text') {
    return (
      <textarea {...common} rows={6} value={String(value)} onInput={(event) => onChange(event.currentTarget.value)} />
    )
  }
  if (kind === 'country') {
    return (
      <select {...common} value={String(value)} onChange={(event) => onChange(event.currentTarget.value)}>
        {names.map(({ cca3, name }) => (
          <option key={cca3} value={cca3}>
            {name.common}
          </option>
        ))}
      </select>
    )
  }
  if (kind === 'year') {
    return (
      <input
        {...common}
        type="number"
        required
        min={1900}
        max={new Date().getFullYear()}
        value={String(value)}
        onInput={({ currentTarget: { value, valueAsNumber } }) => onChange(value === '' ? '' : valueAsNumber)}
      />
    )
  }
  return (
    <input
      {...common}
      required
      maxLength={200}
      value={String(value)}
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  )
}
